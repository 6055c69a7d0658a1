package verb

import (
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/words"
)

// Ask is what a verb is about; Verb.Fields says which fields it has. It is the body of a request to the API.
type Ask struct {
	Reason string `json:"reason"` // why, one sentence for the audit; every verb needs it

	// Which rollouts: by name, all that have not ended, or those that a selector of rollouts matches.
	Rollouts []string `json:"rollouts,omitempty"`
	All      bool     `json:"all,omitempty"`
	Select   string   `json:"select,omitempty"`

	Rollout  string `json:"rollout,omitempty"`  // the one rollout
	Stage    string `json:"stage,omitempty"`    // of the schedule
	Where    string `json:"where,omitempty"`    // backout, unveto: a selector of nodes
	ID       string `json:"id,omitempty"`       // of a hold
	Selector string `json:"selector,omitempty"` // of nodes, for a hold
	Certname string `json:"certname,omitempty"`
	To       string `json:"to,omitempty"`    // pin: baseline or candidate
	For      string `json:"for,omitempty"`   // 90m, 2h, 1d, 1w
	Until    string `json:"until,omitempty"` // 2026-01-31T08:00:00Z
	End      bool   `json:"end,omitempty"`   // freeze, delay: end it
	AtOnce   bool   `json:"now,omitempty"`   // promote: yes, now

	Name        string         `json:"name,omitempty"` // start: the new rollout; unveto: a rollout or an environment
	Track       string         `json:"track,omitempty"`
	Environment string         `json:"environment,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Change      string         `json:"change,omitempty"`
	Schedule    string         `json:"schedule,omitempty"`
	Policy      string         `json:"policy,omitempty"` // "" is the policy default

	Wait string `json:"wait,omitempty"` // how long to wait for the leader: 30s; "" is not at all
}

func (a *Ask) wait(verb string) (time.Duration, error) {
	if a.Wait == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(a.Wait)
	if err != nil || d < 0 {
		return 0, wrong("wait", "%s: %s %s: expected 0 or more, such as 30s", verb, Field("wait"), a.Wait)
	}
	return d, nil
}

// end reads the one of until and for that is given. The end is a time in both cases, so that the leader needs no memory of
// when it saw the hold first.
func (r *run) end(what string) (time.Time, error) {
	now := r.Now()
	if (r.Until == "") == (r.For == "") {
		return time.Time{}, wrong("until", "%s: a %s needs an end: give %s TIME or %s DURATION, one of them", r.verb, what, Field("until"), Field("for"))
	}
	if r.Until != "" {
		t, err := time.Parse(time.RFC3339, r.Until)
		switch {
		case err != nil:
			return t, wrong("until", "%s: %s %q is no time (expected 2026-01-31T08:00:00Z)", r.verb, Field("until"), r.Until)
		case !t.After(now):
			return t, wrong("until", "%s: %s %s is over: it is %s now", r.verb, Field("until"), r.Until, words.UTC(now))
		}
		return t.UTC(), nil
	}
	d := flags.ReadDelay(r.For)
	if strings.ContainsAny(r.For, " \t\n") || d.Endless || d.For <= 0 {
		return time.Time{}, wrong("for", "%s: %s %q is no duration (expected 90m, 6h, 2d or 1w)", r.verb, Field("for"), r.For)
	}
	return now.Add(d.For).UTC().Truncate(time.Second), nil
}
