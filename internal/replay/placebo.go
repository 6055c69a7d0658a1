package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/segments"
)

// Placebo is what the judge would have said of changes that never were.
type Placebo struct {
	Trials int     `json:"trials"`
	Nodes  int     `json:"nodes"`
	Share  float64 `json:"share"` // of the nodes that were canaries
	// Failed, Passed and Held count the verdicts. Failed/Trials is the rate of false alarms here, Low to High its 95 % interval;
	// Alpha is what the policy allows.
	Failed int     `json:"failed"`
	Passed int     `json:"passed"`
	Held   int     `json:"held"`
	Rate   float64 `json:"rate"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Alpha  float64 `json:"alpha"`
	// Alarms are the false ones.
	Alarms []Alarm `json:"alarms"`
}

// Alarm is a false one.
type Alarm struct {
	Salt    string    `json:"salt"`
	Started time.Time `json:"started"`
	At      time.Time `json:"at"`
	Road    string    `json:"road"`
	Reason  string    `json:"reason"`
	Exposed int       `json:"exposed"`
}

// Trials judges n random cohorts at times spread over the history, as a change of parameters that does nothing: a share of
// the nodes that never were canaries, chosen by hash as sluice does, and watched for the bake and two run intervals. done
// is called after each.
func Trials(h *History, a *Assignments, o Options, n int, share float64, done func()) (*Placebo, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if n < 1 || !(share > 0 && share < 1) {
		return nil, fmt.Errorf("%d trials with %v of the nodes: expected at least 1, and a share between 0 and 1", n, share)
	}
	o.Candidate, o.Baseline = "", ""
	rest := &Assignments{Columns: a.Columns}
	for _, node := range a.Nodes {
		if node.AdmittedAt.IsZero() {
			rest.Nodes = append(rest.Nodes, node)
		}
	}
	strata, err := rest.strata(o.Strata)
	if err != nil {
		return nil, err
	}
	interval := time.Duration(o.Policy.Silence.Interval + o.Policy.Silence.Splay)
	watch, past := o.Bake+2*interval, 4*interval
	from, to := h.Span()
	room := to.Sub(from) - watch - past
	if room < 0 {
		return nil, fmt.Errorf("the reports span %s: a placebo needs at least %s, four run intervals before and bake and two intervals after", to.Sub(from).Round(time.Second), (watch + past).Round(time.Second))
	}
	out := &Placebo{Trials: n, Nodes: len(rest.Nodes), Share: share, Alpha: o.Policy.Alpha, Alarms: []Alarm{}}
	for k := range n {
		_, part := math.Modf(float64(k+1) * math.Phi) // spread evenly, and the same every time
		start := from.Add(past + time.Duration(part*float64(room))).Truncate(time.Second).UTC()
		if err := out.trial(h, rest, strata, o, fmt.Sprintf("placebo-%d", k+1), start, start.Add(watch)); err != nil {
			return nil, err
		}
		done()
	}
	out.Rate = float64(out.Failed) / float64(n)
	out.Low, out.High = stats.ClopperPearsonLower(out.Failed, n, .975), stats.ClopperPearsonUpper(out.Failed, n, .975)
	return out, nil
}

func (p *Placebo) trial(h *History, rest *Assignments, strata []string, o Options, salt string, start, end time.Time) error {
	limit := segments.FromShare(uint64(p.Share * segments.Billion))
	cohorts := &Assignments{Columns: rest.Columns, Nodes: make([]Assigned, len(rest.Nodes))}
	for i, node := range rest.Nodes {
		if limit.Admits(segments.Position(salt, node.Certname)) {
			node.AdmittedAt = start
		}
		cohorts.Nodes[i] = node
	}
	canaries, _, err := cohorts.Cohorts()
	if err != nil {
		return errors.New("too few nodes for a placebo: one of the random cohorts would be empty")
	}
	o.Name, o.planned = salt, canaries
	f := newFleet(h, cohorts, strata, o)
	back := start.Add(-max(24*time.Hour, 4*time.Duration(o.Policy.Silence.Interval)) - time.Duration(o.Policy.Silence.Interval))
	var out Outcome
	f.play(h.until(back), end, &out, func(int) {})
	switch out.Verdict.Result {
	case analyzer.Fail:
		p.Failed++
		p.Alarms = append(p.Alarms, Alarm{Salt: salt, Started: start, At: out.At, Road: out.Verdict.Road, Reason: out.Verdict.Reason, Exposed: out.Exposed})
	case analyzer.Pass:
		p.Passed++
	default:
		p.Held++
	}
	return nil
}
