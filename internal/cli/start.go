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
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/segments"
)

func (p *program) startCommand() *cobra.Command {
	var ask verb.Ask
	var parameters []string
	c := p.writes(&cobra.Command{
		Use: "start [NAME]", Short: "Ask for a rollout", Args: args(cobra.MaximumNArgs(1)),
		Long: `start leaves a request for the leader, who alone may admit nodes, and waits until it is taken up. The change is an
environment, or parameters that the nodes get as feature flags. The name is the environment's where none is given. Schedule
and policy are names in the configuration of sluiced; they are frozen when the rollout is taken up.`,
		Example: `  sluice start --environment production_8f3c2d1a --change 8f3c2d1a --schedule careful --reason "ntp pools"
  sluice start sshd-hardening --parameter sshd_hardening=true --schedule careful --reason "audit 2026"`,
	}, &ask, func(args []string) error {
		if len(args) > 0 {
			ask.Name = args[0]
		}
		var err error
		ask.Parameters, err = parametersOf(parameters)
		return err
	})
	f := c.Flags()
	f.StringVar(&ask.Track, "track", "", "track of environments (default: the only one)")
	f.StringVar(&ask.Environment, "environment", "", "candidate environment, one of its own for every change")
	f.StringArrayVar(&parameters, "parameter", nil, "feature flag, NAME=VALUE; true, numbers and JSON are read as such (repeatable)")
	f.StringVar(&ask.Change, "change", "", "your name of the change, such as a commit")
	f.StringVar(&ask.Schedule, "schedule", "", "name of the schedule (required)")
	f.StringVar(&ask.Policy, "policy", "default", "name of the analysis policy")
	waitFlag(c, &ask)
	return c
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
func (p *program) started(c *cobra.Command, s store.Store, name string, ask verb.Ask) error {
	snap, err := firstLook(c.Context(), s, name, ask)
	if err != nil {
		return err
	}
	r := snap.Rollout(name)
	if r == nil {
		return fmt.Errorf("the request is gone and there is no rollout %s: see sluice audit", name)
	}
	now := p.now()
	say := func(format string, args ...any) { fmt.Fprintf(c.OutOrStdout(), format+"\n", args...) }
	v := viewOf(snap, r, now)
	switch {
	case v.Phase == gate.Waiting:
		say("%s is taken up and waits for its first stage.", name)
	case v.Phase.Ended():
		say("%s is taken up, and %s: %s", name, v.Phase, v.Why)
	default:
		say("%s has started: stage %s.", name, v.stageText())
	}
	for _, g := range v.Gates {
		if !g.Open {
			say("  closed: [%s] %s", g.Name, safe(g.Reason))
		}
	}
	say("Watch it with: sluice status %s -w", name)
	return nil
}

func firstLook(whole context.Context, s store.Store, name string, ask verb.Ask) (*tree.Snapshot, error) {
	wait, _ := time.ParseDuration(ask.Wait) // it has waited so long before
	ctx, cancel := context.WithTimeout(whole, min(wait, 15*time.Second))
	defer cancel()
	changed, join := store.Changes(ctx, s, "rollouts/"+name+"/")
	defer join()
	defer cancel()
	for {
		snap, err := tree.Read(whole, s)
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
