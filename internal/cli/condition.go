package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

// The words for how a rollout is doing.
const (
	progressing = "Progressing"
	held        = "Held"
	paused      = "Paused"
	waiting     = "Waiting"
	settling    = "Settling"
	backingOut  = "Backing out"
	completed   = "Completed"
	backedOut   = "Backed out"
	superseded  = "Superseded"
)

// progressGates close while a rollout does what it should: nodes run, time passes, evidence grows.
var progressGates = []string{gate.GateRamp, gate.GateCoverage, gate.GateBake, gate.GateVerdict}

// condition sets Status, Why, Waits, Next and Exit. Whatever is not plainly going on is held.
func (v *rolloutView) condition(snap *tree.Snapshot, now time.Time) {
	switch v.Phase {
	case gate.Completed:
		v.Status, v.Exit = completed, ExitOK
		return
	case gate.BackedOut, gate.Superseded:
		v.Status, v.Exit, v.Why = backedOut, ExitBackout, snap.Rollout(v.Name).State.Reason
		if v.Phase == gate.Superseded {
			v.Status = superseded
		}
		return
	}
	if stops := verb.Stops(snap); stops.BackedOut(v.Name) {
		v.Status, v.Exit = backingOut, ExitBackout
		v.Why = gate.BackOutReason(flags.Read(snap.Flags), v.Name) + "; the edges act on it, the leader has not recorded it yet"
		return
	}
	v.unseenStops(snap)
	why := v.firstClosed(v.unusual)
	switch {
	case len(snap.Damaged) > 0:
		v.hold("the store is damaged, and nothing goes forward: " + snap.Damaged[0])
	case why != nil:
		v.hold("[" + why.Name + "] " + why.Reason)
	case v.LookedAt.IsZero():
		v.hold("no leader has looked at it yet")
	case now.Sub(v.LookedAt) > stale:
		v.hold(fmt.Sprintf("no leader has looked at it for %s; the gates are as they were then", age(now.Sub(v.LookedAt))))
	default:
		v.goesOn()
	}
	v.next()
	if why != nil && (why.Name == gate.GatePause || why.Name == gate.GateFreeze) && v.Status == held {
		v.Status = paused
	}
}

func (v *rolloutView) hold(why string) {
	v.Status, v.Exit, v.Why = held, ExitHeld, why
	if v.Phase == gate.Waiting {
		v.Status = waiting
	}
}

func (v *rolloutView) goesOn() {
	switch v.Phase {
	case gate.Running:
		v.Status, v.Exit = progressing, ExitOK
	case gate.Settling:
		v.Status, v.Exit = settling, ExitOK
	case gate.Waiting:
		v.Status, v.Exit = waiting, ExitHeld
	default: // a phase of a later version
		v.hold("phase " + string(v.Phase) + " is not known to this program")
		return
	}
	if g := v.firstClosed(func(gate.Gate) bool { return true }); g != nil {
		v.Why = "[" + g.Name + "] " + g.Reason
	}
}

// unusual says whether a closed gate waits for more than time and nodes. Of the progress gates those do that look
// at nodes which failed or are silent. How much the next stage may add is no question before this one's nodes have run.
func (v *rolloutView) unusual(g gate.Gate) bool {
	if g.Name == gate.GateGrowth && v.firstClosed(func(g gate.Gate) bool { return g.Name == gate.GateCoverage }) != nil {
		return false
	}
	bad := v.Counts.Failed+v.Counts.Silent > 0 && !v.explained()
	return !slices.Contains(progressGates, g.Name) || bad && g.Name != gate.GateBake
}

// explained says whether every check has passed: the failures there are, are not the change's.
func (v *rolloutView) explained() bool {
	return len(v.Checks) > 0 && !slices.ContainsFunc(v.Checks, func(c checkView) bool { return c.Result != analyzer.Pass.String() })
}

func (v *rolloutView) firstClosed(which func(gate.Gate) bool) *gate.Gate {
	for i := range v.Gates {
		if !v.Gates[i].Open && which(v.Gates[i]) {
			return &v.Gates[i]
		}
	}
	return nil
}

// unseenStops closes the gates of stops that are written and that the leader has not looked at since. The edges
// obey them already.
func (v *rolloutView) unseenStops(snap *tree.Snapshot) {
	stops, reading := verb.Stops(snap), flags.Read(snap.Flags)
	shut := func(name, key, reason string) {
		g := gate.Gate{Name: name, Source: key, Reason: reason}
		kept := slices.DeleteFunc(slices.Clone(v.Gates), func(o gate.Gate) bool { return o.Name == name && o.Open })
		if !slices.ContainsFunc(kept, func(o gate.Gate) bool { return o.Name == name }) {
			kept = append([]gate.Gate{g}, kept...)
		}
		v.Gates = kept
	}
	if _, ok := stops.Pause[v.Name]; ok {
		shut(gate.GatePause, "flags/"+v.Name+"/pause", gate.PauseReason(reading, stops, v.Name))
	}
	if stops.Frozen() {
		shut(gate.GateFreeze, tree.FreezeKey, gate.FreezeReason(reading))
	}
}

// next says before when nothing moves, as far as the gates know, and which of them say so.
func (v *rolloutView) next() {
	for _, g := range v.Gates {
		switch {
		case g.Open || g.Next.IsZero():
		case v.Next == nil || g.Next.After(*v.Next):
			at := g.Next.UTC()
			v.Next, v.Waits = &at, []string{g.Name}
		case g.Next.Equal(*v.Next):
			v.Waits = append(v.Waits, g.Name)
		}
	}
}
