package daemon

import (
	"fmt"
	"reflect"
	"time"

	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/analyzer"
)

// A verdict that rests on changed nodes alone is compared with a whole look whenever it turns, and every so often: a node that nobody
// told of must neither hold a rollout for long nor let it pass.
var (
	wholeEvery   = 5 * time.Minute
	wholeOfAPass = time.Minute
	differs      = func(string) {} // for tests, which look at everything each time
)

// judging is the judge of one course, with what it remembers between two looks.
type judging struct {
	watch  analyzer.Watch
	result analyzer.Result // of the last look
	grade  analyzer.Grade
	whole  time.Time // when all nodes were looked at last
}

// look judges. The caller holds the ledger.
func (j *judging) look(p analyzer.Policy, e analyzer.Evidence, log zerolog.Logger) analyzer.Verdict {
	v := j.watch.Look(p, e)
	every := wholeEvery
	if v.Result == analyzer.Pass {
		every = wholeOfAPass
	}
	if age := e.Now.Sub(j.whole); v.Result == j.result && v.Grade == j.grade && age >= 0 && age < every {
		return v
	}
	whole := analyzer.Look(p, e)
	if !reflect.DeepEqual(v, whole) {
		log.Error().Str("rollout", e.Rollout).Str("watched", v.Reason).Str("whole", whole.Reason).Msg("a look at what changed says something else than a look at everything: this is a bug in sluice; the whole look counts")
		j.watch = analyzer.Watch{}
		differs(fmt.Sprintf("watched %+v, whole %+v", v, whole))
	}
	j.result, j.grade, j.whole = whole.Result, whole.Grade, e.Now
	return whole
}

// touch says that something about a node changed that the judge looks at.
func (c *course) touch(i int32) {
	if c.chosen != nil {
		if i = c.seat[i]; i < 0 {
			return
		}
	}
	c.judge.watch.Touch(int(i))
}
