// Package verb is what people ask of sluice: one definition of each verb, its checks and what it writes, for the command
// line, which goes to the store itself, and for the API, which does it for those who have no token of the store. What only the
// leader may do is left as a request for it.
//
//	ask.go, error.go   what is asked for, and why it is refused
//	verb.go, desk.go   which verbs there are, and what they all do
//	steer.go … start.go  one family of verbs each
package verb

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/words"
)

// Verb is one verb.
type Verb struct {
	Name   string   // as people say it: "hold add"
	Fields []string // of Ask, besides reason
	// Stops: it goes on where the rest of the store cannot be read. Stopping must not depend on it.
	Stops bool
	do    func(*run) error
}

// All are the verbs, in the order in which people meet them.
var All []Verb

func init() { // the verbs name it
	several := []string{"rollouts", "all", "select"}
	All = []Verb{
		{"start", []string{"name", "track", "environment", "parameters", "change", "schedule", "policy", "wait"}, false, (*run).start},
		{"pause", several, true, (*run).pause},
		{"resume", several, false, (*run).resume},
		{"freeze", []string{"end"}, true, (*run).freeze},
		{"delay", append([]string{"for", "until", "end"}, several...), false, (*run).delay},
		{"hold add", []string{"id", "selector", "for", "until"}, true, (*run).holdAdd},
		{"hold expire", []string{"id"}, false, (*run).holdExpire},
		{"backout", append([]string{"where"}, several...), true, (*run).backout},
		{"pin", []string{"certname", "to", "rollout", "for", "until"}, false, (*run).pin},
		{"unpin", []string{"certname"}, false, (*run).unpin},
		{"veto", []string{"environment"}, true, (*run).veto},
		{"unveto", []string{"name", "where", "wait"}, false, (*run).unveto},
		{"approve", append([]string{"stage"}, several...), false, (*run).decide},
		{"deny", append([]string{"stage"}, several...), false, (*run).decide},
		{"promote", []string{"rollout", "now", "wait"}, false, (*run).promote},
		{"skip", []string{"rollout", "stage", "wait"}, false, (*run).skip},
		{"revert", []string{"rollout", "schedule", "policy", "wait"}, false, (*run).revert},
		{"confirm-restore", []string{"wait"}, false, (*run).confirmRestore},
	}
}

// Named finds a verb; ok is false for none.
func Named(name string) (v Verb, ok bool) {
	i := slices.IndexFunc(All, func(v Verb) bool { return v.Name == name })
	if i < 0 {
		return v, false
	}
	return All[i], true
}

// Path is the verb in an address: hold-add.
func (v Verb) Path() string { return strings.ReplaceAll(v.Name, " ", "-") }

// MaxReason is how many bytes a reason may have.
const MaxReason = 2000

// Check refuses, before the store is asked, what is not in order whatever is in it, and makes one line of the reason.
func (v Verb) Check(a *Ask) error {
	if a.Reason = words.OneLine(a.Reason); a.Reason == "" {
		return wrong("reason", "%s: %s is required: why, one sentence for the audit", v.Name, Field("reason"))
	}
	if len(a.Reason) > MaxReason {
		return wrong("reason", "%s: %s has %d bytes, at most %d fit", v.Name, Field("reason"), len(a.Reason), MaxReason)
	}
	given := reflect.ValueOf(*a)
	for i := range given.NumField() {
		name, _, _ := strings.Cut(given.Type().Field(i).Tag.Get("json"), ",")
		if name != "reason" && !given.Field(i).IsZero() && !slices.Contains(v.Fields, name) {
			return wrong(name, "%s: %s is no field of it; expected of reason, %s", v.Name, name, strings.Join(v.Fields, ", "))
		}
	}
	_, err := a.wait(v.Name)
	return err
}

// Outcome is what was done.
type Outcome struct {
	// Request is the name of what was left for the leader, "" where the verb has done it all; Taken is whether it took it up.
	Request string
	Taken   bool
}

// Do carries a verb out, as d.Who. It returns an *Error, a *Partly, or the store's error; unless the error is one of
// the last two or of kind Queued, nothing was written, or the store cannot tell whether it was.
func (d *Desk) Do(ctx context.Context, v Verb, a Ask) (Outcome, error) {
	if err := v.Check(&a); err != nil {
		return Outcome{}, err
	}
	r := &run{Desk: d, Ask: a, ctx: ctx, verb: v.Name}
	if d.Snap == nil && !v.Stops {
		return r.out, unreadable("%s: not while the store cannot be read", v.Name)
	}
	err := v.do(r)
	return r.out, err
}

// Sit reads the store for a verb. Where it cannot be read as a whole, a verb that stops goes on without, and unread says why.
func Sit(ctx context.Context, s store.Store, v Verb, who string, now func() time.Time) (d *Desk, unread, err error) {
	d = &Desk{Store: s, Who: who, Now: now}
	snap, err := tree.Read(ctx, s)
	switch {
	case err == nil:
		d.Snap = snap
		return d, nil, nil
	case !v.Stops || errors.Is(err, tree.ErrNotInitialised):
		return nil, nil, err
	}
	return d, err, nil
}
