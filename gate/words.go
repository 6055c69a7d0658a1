package gate

import (
	"fmt"
	"strings"

	"github.com/openinfrastructure/sluice/gate/flags"
)

// Names of gates, as every interface has them.
const (
	GateApproval = "approval"
	GateBake     = "bake"
	GateBlast    = "blast"
	GateCoverage = "coverage"
	GateDeadline = "deadline"
	GateDelay    = "delay"
	GateEdges    = "edges"
	GateFreeze   = "freeze"
	GateGrowth   = "growth"
	GateHold     = "hold"
	GatePause    = "pause"
	GatePromote  = "promote"
	GateRamp     = "ramp"
	GateRestored = "restored"
	GateSegment  = "segment"
	GateSources  = "sources"
	GateStart    = "start"
	GateTurn     = "turn"
	GateUnproven = "unproven"
	GateVerdict  = "verdict"
	GateWindow   = "window"
)

// GateNames are all of them.
var GateNames = []string{GateApproval, GateBake, GateBlast, GateCoverage, GateDeadline, GateDelay, GateEdges, GateFreeze, GateGrowth, GateHold, GatePause,
	GatePromote, GateRamp, GateRestored, GateSegment, GateSources, GateStart, GateTurn, GateUnproven, GateVerdict, GateWindow}

// Said quotes what a person wrote beside a flag, whose key is below flags/: "by=WHO: WHY" as the verbs write it, or anything.
func Said(what, key, comment string) string {
	key = "flags/" + strings.TrimPrefix(key, "flags/")
	if who, ok := strings.CutPrefix(comment, "by="); ok {
		return what + " by " + who
	}
	if comment != "" {
		return what + " by " + key + " (" + comment + ")"
	}
	return what + " by " + key
}

// count is a number of things: 1 node, 5 nodes.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// all is every one of a number of things: the one node, all 5 nodes.
func all(n int, what string) string {
	if n == 1 {
		return "the one " + what
	}
	return "all " + count(n, what)
}

// agree chooses the form of a verb that goes with a number of things.
func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

const explicit = "; it ends with an explicit false"

// FreezeReason says why the gate freeze is closed by people.
func FreezeReason(r flags.Reading) string {
	return Said("everything is frozen", "freeze", r.Comments["freeze"]) + explicit
}

// PauseReason says why the gate pause of a rollout is closed.
func PauseReason(r flags.Reading, stops flags.Latched, name string) string {
	if stops.Pause[name].Value == flags.UnreadableStop {
		return "paused, because a flag below flags/" + name + " cannot be read: " + strings.Join(loudAbout(r, name), "; ") + explicit
	}
	return Said("paused", name+"/pause", r.Comments[name+"/pause"]) + explicit
}

func loudAbout(r flags.Reading, name string) []string {
	var out []string
	for _, l := range r.Loud {
		if strings.HasPrefix(l, "flags/"+name+"/") {
			out = append(out, l)
		}
	}
	return out
}

// BackOutReason says which person takes a rollout back.
func BackOutReason(r flags.Reading, name string) string {
	return Said("backed out", name+"/backout", r.Comments[name+"/backout"])
}
