package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// Options say how history is judged.
type Options struct {
	Name   string
	Policy analyzer.Policy
	// Candidate is the environment that proves exposure; empty for a change of parameters, where any
	// fresh run since the admission does.
	Candidate, Baseline string
	Bake                time.Duration
	// Every is the time between two looks, if something came. Lag is how long a report may be under way.
	Every, Lag time.Duration
	// Strata are columns of the assignments.
	Strata []string
	// Until ends the replay before the history does; zero is no limit.
	Until time.Time

	planned int
}

func (o Options) check() error {
	switch {
	case o.Every <= 0:
		return fmt.Errorf("every %s: expected more than 0", o.Every)
	case o.Bake < 0 || o.Lag < 0:
		return fmt.Errorf("bake %s, lag %s: expected 0 or more", o.Bake, o.Lag)
	case o.Candidate != "" && o.Candidate == o.Baseline:
		return fmt.Errorf("candidate and baseline are both %s", o.Candidate)
	}
	return o.Policy.Validate()
}

// Look is one that differs from the one before.
type Look struct {
	At       time.Time       `json:"at"`
	Result   analyzer.Result `json:"result"`
	Grade    analyzer.Grade  `json:"grade,omitempty"`
	Reason   string          `json:"reason"`
	Admitted int             `json:"admitted"`
	Exposed  int             `json:"exposed"`
	// Checks says of each check with an event how many canaries and controls had it.
	Checks []string `json:"checks"`
}

// Outcome is what a replay came to.
type Outcome struct {
	Reports int `json:"reports"`
	// Duplicates were left out. Undated have no receive_time, and count as received when produced.
	Duplicates int `json:"duplicates"`
	Undated    int `json:"undated"`
	Canaries   int `json:"canaries"`
	Controls   int `json:"controls"`
	// Unassigned nodes reported and are in no cohort; Unseen ones are and never reported.
	Unassigned int       `json:"unassigned"`
	Unseen     int       `json:"unseen"`
	Started    time.Time `json:"started"`
	// Looks is how many were made; Changes are those that differ from the one before.
	Looks   int    `json:"looks"`
	Changes []Look `json:"changes"`
	// At is when the verdict fell, or the end of the history for one that is inconclusive.
	At       time.Time        `json:"at"`
	Admitted int              `json:"admitted"`
	Exposed  int              `json:"exposed"`
	Verdict  analyzer.Verdict `json:"verdict"`
}

// Play replays the history until the judge says fail, or pass, or the history ends. seen is told how many reports
// a step took.
func Play(h *History, a *Assignments, o Options, seen func(reports int)) (*Outcome, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	canaries, controls, err := a.Cohorts()
	if err != nil {
		return nil, err
	}
	strata, err := a.strata(o.Strata)
	if err != nil {
		return nil, err
	}
	if h.Reports() == 0 {
		return nil, errors.New("no report")
	}
	if err := h.ran(o.Candidate); err != nil {
		return nil, err
	}
	out := &Outcome{Reports: h.Reports(), Duplicates: h.Duplicates, Undated: h.Unclear, Canaries: canaries, Controls: controls}
	o.planned = canaries
	f := newFleet(h, a, strata, o)
	out.Started = f.started
	for _, i := range f.place {
		out.Unassigned += count(i < 0)
	}
	out.Unseen = len(a.Nodes) - (len(h.Names) - out.Unassigned)
	_, end := h.Span()
	if !o.Until.IsZero() && o.Until.Before(end) {
		end = o.Until
	}
	if !f.started.Before(end) {
		return nil, fmt.Errorf("the first admission is at %s and the reports end at %s: expected reports from after it", f.started.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	f.play(0, end, out, seen)
	return out, nil
}

// play goes on from report number i.
func (f *fleet) play(i int, end time.Time, out *Outcome, seen func(int)) {
	runs, last := f.h.runs, ""
	var looks []analyzer.MagnitudeLook
	for now := f.started; ; now = now.Add(f.o.Every) {
		if now.After(end) {
			now = end
		}
		fresh, from := f.admit(now), i
		for ; i < len(runs) && !runs[i].Received.After(now); i++ {
			f.take(&runs[i], now)
		}
		if seen(i - from); !fresh && i == from && now.Before(end) {
			continue
		}
		e := f.evidence(now)
		e.Looks = looks
		v := analyzer.Look(f.o.Policy, e)
		looks = v.Looks
		out.Looks++
		out.At, out.Verdict, out.Admitted, out.Exposed = now, v, v.Counts.Admitted, v.Counts.Exposed
		if key := keyOf(v); key != last {
			last = key
			out.Changes = append(out.Changes, Look{At: now, Result: v.Result, Grade: v.Grade, Reason: v.Reason, Admitted: v.Counts.Admitted, Exposed: v.Counts.Exposed, Checks: eventful(v)})
		}
		if v.Result != analyzer.Inconclusive || !now.Before(end) {
			out.Verdict = analyzer.Judge(f.o.Policy, e) // with the digest of the evidence
			return
		}
	}
}

// keyOf is what makes two looks the same: the result, and what the canaries have had.
func keyOf(v analyzer.Verdict) string {
	var b strings.Builder
	fmt.Fprint(&b, v.Result, v.Grade, len(v.Missing) > 0 && strings.HasPrefix(v.Missing[len(v.Missing)-1], "the cohorts differed"))
	for _, c := range v.Checks {
		fmt.Fprint(&b, " ", c.Name, c.Result == analyzer.Fail)
		if !analyzer.Magnitude(c.Name) {
			fmt.Fprint(&b, c.Canary)
		}
	}
	if v.Culprit != nil {
		fmt.Fprint(&b, v.Culprit.Resource, v.Culprit.File, v.Culprit.Line)
	}
	return b.String()
}

func eventful(v analyzer.Verdict) []string {
	out := []string{}
	for _, c := range v.Checks {
		if !analyzer.Magnitude(c.Name) && c.Canary+c.Control > 0 {
			out = append(out, fmt.Sprintf("%s: %d of %d canaries, %d of %d controls", c.Name, c.Canary, c.CanaryTotal, c.Control, c.ControlTotal))
		}
	}
	slices.Sort(out)
	return out
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
