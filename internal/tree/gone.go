package tree

import (
	"fmt"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
)

// GoneKey is the key of what is left of a rollout when its record has been let go.
func GoneKey(rollout string) string { return "rollouts/" + rollout + "/gone" }

// Gone is that much: its name is not used twice, and its flags mean nothing any more.
type Gone struct {
	Track string     `json:"track"`
	Phase gate.Phase `json:"phase"` // in which it ended
	Since time.Time  `json:"since"`

	Left []string `json:"-"` // keys of its that are still there
}

// String is a sentence for who asks for it.
func (g Gone) String() string {
	return fmt.Sprintf("it ended as %s on %s, and only the audit has it", g.Phase, g.Since.UTC().Format(time.DateOnly))
}

// LetGo gives the operations that leave of an ended rollout's record what Gone is; what else it has becomes Left.
func (snap *Snapshot) LetGo(r *Rollout) []store.Op {
	name := r.Spec.Name
	return []store.Op{
		Put(GoneKey(name), Gone{Track: r.Spec.Track, Phase: r.State.Phase, Since: r.State.Since}, 0),
		store.DeleteCAS(SpecKey(name), snap.Versions[SpecKey(name)]),
		store.DeleteCAS(StateKey(name), snap.Versions[StateKey(name)]),
	}
}

func (snap *Snapshot) gone(name string, e store.Entry) {
	var g Gone
	switch {
	case !snap.decode(e, &g):
	case !g.Phase.Ended():
		snap.damaged(e.Key, "phase %q is not one in which a rollout ends", g.Phase)
	default:
		snap.Gone[name] = g
	}
}

// leftOver notes what there is of rollouts that are gone. A spec or a state beside the word that they are is somebody's doing.
func (snap *Snapshot) leftOver(keys []string) {
	for _, key := range keys {
		name, what, _ := RolloutOf(key)
		g, gone := snap.Gone[name]
		switch {
		case !gone:
		case what == "status" || strings.HasPrefix(what, "past/"):
			g.Left = append(g.Left, key)
			snap.Gone[name] = g
		case what != "gone":
			snap.damaged(key, "%s says that the rollout is gone", GoneKey(name))
		}
	}
}
