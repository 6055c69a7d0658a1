package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

func (p *program) startCommand() *cobra.Command {
	var ask tree.Start
	var parameters []string
	var wait time.Duration
	c := p.writes(&cobra.Command{
		Use: "start [NAME]", Short: "Ask for a rollout", Args: args(cobra.MaximumNArgs(1)),
		Long: `start leaves a request for the leader, who alone may admit nodes, and waits until it is taken up. The change is an
environment, or parameters that the nodes get as feature flags. The name is the environment's where none is given. Schedule
and policy are names in the configuration of sluiced; they are frozen when the rollout is taken up.`,
		Example: `  sluice start --environment production_8f3c2d1a --change 8f3c2d1a --schedule careful --reason "ntp pools"
  sluice start sshd-hardening --parameter sshd_hardening=true --schedule careful --reason "audit 2026"`,
	}, false, func(w *writing, args []string) error {
		name, err := startOf(&ask, args, parameters, wait, w.snap)
		if err != nil {
			return err
		}
		if err := w.put(name, tree.Request{Kind: tree.RequestStart, Rollout: name, Start: &ask}); err != nil {
			return err
		}
		taken, err := w.hand(name, wait)
		if taken {
			return w.started(name, wait)
		}
		return err
	})
	f := c.Flags()
	f.StringVar(&ask.Track, "track", "", "track of environments (default: the only one)")
	f.StringVar(&ask.Environment, "environment", "", "candidate environment, one of its own for every change")
	f.StringArrayVar(&parameters, "parameter", nil, "feature flag, NAME=VALUE; true, numbers and JSON are read as such (repeatable)")
	f.StringVar(&ask.Change, "change", "", "your name of the change, such as a commit")
	f.StringVar(&ask.Schedule, "schedule", "", "name of the schedule (required)")
	f.StringVar(&ask.Policy, "policy", "default", "name of the analysis policy")
	waitFlag(c, &wait)
	return c
}

// startOf completes and checks what is asked for, and returns the rollout's name. The leader checks it again.
func startOf(ask *tree.Start, args, parameters []string, wait time.Duration, snap *tree.Snapshot) (string, error) {
	var err error
	if ask.Parameters, err = parametersOf(parameters); err != nil {
		return "", err
	}
	name := strings.ToLower(ask.Environment)
	if len(args) > 0 {
		name = args[0]
	}
	if ask.Track == "" && len(snap.Tracks) == 1 {
		ask.Track = snap.Tracks[0].Name
	}
	switch {
	case (ask.Environment != "") == (len(ask.Parameters) > 0):
		return "", usage("start: expected exactly one of --environment and --parameter")
	case ask.Environment != "" && !segments.IsEnvironment(ask.Environment):
		return "", usage("start: --environment %q: expected letters, digits and _", ask.Environment)
	case name == "":
		return "", usage("start: a rollout of parameters needs a name")
	case !schedule.ValidName(name) || strings.HasPrefix(name, unvetoPrefix) || strings.HasPrefix(name, promotePrefix) || strings.HasPrefix(name, skipPrefix) || name == confirmRestoreID:
		return "", usage("start: %q cannot be a name (expected lower-case letters, digits, - and _; not %s… nor %s)", name, unvetoPrefix, confirmRestoreID)
	case !schedule.ValidName(ask.Schedule):
		return "", usage("start: --schedule %q: expected the name of a schedule", ask.Schedule)
	case !schedule.ValidName(ask.Policy):
		return "", usage("start: --policy %q: expected the name of a policy", ask.Policy)
	case wait < 0:
		return "", usage("start: --wait %s: expected 0 or more", wait)
	}
	return name, startable(ask, name, snap)
}

// startable refuses what the store already rules out.
func startable(ask *tree.Start, name string, snap *tree.Snapshot) error {
	t := snap.Track(ask.Track)
	if t == nil {
		return usage("start: --track %q: expected one of %s", ask.Track, strings.Join(trackNames(snap), ", "))
	}
	if t.Baseline == ask.Environment {
		return refused("%s is the baseline of track %s already", ask.Environment, t.Name)
	}
	for _, known := range rolloutNames(snap) {
		if known == name {
			return refused("there is a rollout %s already: sluice status %s; give this one another name", name, name)
		}
	}
	return nil
}

// parametersOf reads NAME=VALUE. A value that is JSON is taken as such, any other as a string.
func parametersOf(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !segments.IsEnvironment(name) {
			return nil, usage("start: --parameter %q: expected NAME=VALUE with a name of letters, digits and _", p)
		}
		if _, twice := out[name]; twice {
			return nil, usage("start: --parameter %s is given twice", name)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		out[name] = v
	}
	return out, nil
}

// started shows what the leader made of the request. It took it up, so all that can be missing is its first look.
func (w *writing) started(name string, wait time.Duration) error {
	snap, err := w.firstLook(name, wait)
	if err != nil {
		return err
	}
	r := snap.Rollout(name)
	if r == nil {
		return fmt.Errorf("the request is gone and there is no rollout %s: see sluice audit", name)
	}
	now := w.p.now()
	v := viewOf(snap, r, now)
	switch {
	case v.Phase == gate.Waiting:
		w.say("%s is taken up and waits for its first stage.", name)
	case v.Phase.Ended():
		w.say("%s is taken up, and %s: %s", name, v.Phase, v.Why)
	default:
		w.say("%s has started: stage %s.", name, v.stageText())
	}
	for _, g := range v.Gates {
		if !g.Open {
			w.say("  closed: [%s] %s", g.Name, safe(g.Reason))
		}
	}
	w.say("Watch it with: sluice status %s -w", name)
	return nil
}

func (w *writing) firstLook(name string, wait time.Duration) (*tree.Snapshot, error) {
	ctx, cancel := context.WithTimeout(w.ctx, min(wait, 15*time.Second))
	defer cancel()
	changed, join := changes(ctx, w.store, "rollouts/"+name+"/")
	defer join()
	defer cancel()
	for {
		snap, err := tree.Read(w.ctx, w.store)
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			return nil, err
		}
		if err == nil {
			if r := snap.Rollout(name); r == nil || !r.Status.At.IsZero() || r.State.Phase.Ended() || ctx.Err() != nil {
				return snap, nil
			}
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return nil, err
			}
		case <-changed:
		}
	}
}
