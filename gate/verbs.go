package gate

import (
	"fmt"
	"strings"
)

// Phases are all phases, in the order of a rollout's life.
var Phases = []Phase{Waiting, Running, Settling, Completed, BackedOut, Superseded}

// Effect is what a verb does to a rollout in one phase: exactly one of the two is set. NAME stands for the rollout's.
type Effect struct {
	Does    string
	Refused string
}

// Verb is what people may ask of a rollout, with its effect in each of Phases.
type Verb struct {
	Name    string
	Effects [6]Effect
}

func does(text string) Effect  { return Effect{Does: text} }
func never(text string) Effect { return Effect{Refused: text} }

// Why a rollout that has ended takes no flag.
var (
	deadDone  = never("its flags are dead; to undo it: sluice revert NAME")
	deadBack  = never("its flags are dead; sluice unveto NAME lets the change be started again")
	deadNever = never("its flags are dead; it never began")
)

// alive are the effects of a verb that nothing is left for when a rollout has ended.
func alive(waiting, running, settling Effect) [6]Effect {
	return [6]Effect{waiting, running, settling, deadDone, deadBack, deadNever}
}

func every(text string, ended string) [6]Effect {
	return [6]Effect{does(text), does(text), does(text), does(ended), does(ended), does(ended)}
}

// Verbs says what each verb does in each phase. The command line refuses by it, and docs/verbs.md is made of it.
var Verbs = []Verb{
	{"pause", alive(does("it does not begin"), does("thresholds stay, here and at the edges"), does("nobody more is given the change, and it is not completed"))},
	{"resume", alive(does("it begins when its gates are open"), does("thresholds grow when every gate is open"), does("it completes when every gate is open"))},
	{"delay", alive(does("it does not begin before"), does("thresholds stay until then, at the leader"), does("it is not completed before"))},
	{"backout", alive(does("it ends, and its change is vetoed"), does("baseline for every admitted node, at once; the change is vetoed"), does("baseline for every admitted node, at once; the change is vetoed"))},
	{"backout --where", alive(does("nodes that match are left out from the beginning"), does("baseline for nodes that match; the rest goes on"), does("baseline for nodes that match; it is not completed meanwhile"))},
	{"approve", alive(does("a stage may begin as far as approval goes"), does("a stage to come may begin; the current one's deadline is answered"), does("the deadline is answered"))},
	{"deny", alive(does("the stage does not begin"), does("a stage to come does not begin"), never("every stage is admitted already: use pause or backout"))},
	{"promote --now", [6]Effect{never("there is no stage to leave"), does("the current stage is left whatever it has shown, once"), does("nodes that have left the inventory are not waited for, and it completes with a verdict that is inconclusive, once"), deadDone, deadBack, deadNever}},
	{"skip", [6]Effect{does("the stage admits nobody of its own"), does("a stage to come admits nobody of its own"), never("it has no stage to come"), deadDone, deadBack, deadNever}},
	{"unveto --where", alive(does("nodes that were left out take part"), does("nodes that were cut out come back as every gate allows"), does("nodes that were cut out come back as every gate allows"))},
	{"unveto", [6]Effect{never("it is not backed out"), never("it is not backed out"), never("it is not backed out"), never("it is not backed out"), does("its change may be started again, under a new name"), never("it is not backed out")}},
	{"revert", [6]Effect{never("sluice backout NAME takes it back"), never("sluice backout NAME takes it back"), never("sluice backout NAME takes it back"), does("a rollout in reverse is asked for"), never("there is nothing to undo"), never("there is nothing to undo")}},
	{"freeze", every("as pause, for every rollout", "nothing: it has ended")},
	{"hold add", every("nodes that match go no further; the rest goes on", "nothing: it has ended")},
	{"pin", every("one node stays on baseline, or has the candidate while the rollout is under way", "nothing: it has ended")},
}

// EffectOf says what a verb does in a phase; ok is false for a verb that is not in Verbs.
func EffectOf(verb string, p Phase) (e Effect, ok bool) {
	for _, v := range Verbs {
		for i, phase := range Phases {
			if v.Name == verb && phase == p {
				return v.Effects[i], true
			}
		}
	}
	return Effect{}, false
}

// VerbTable is the table of Verbs in Markdown.
func VerbTable() string {
	var b strings.Builder
	b.WriteString("| verb |")
	for _, p := range Phases {
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(Phases)+1) + "\n")
	for _, v := range Verbs {
		fmt.Fprintf(&b, "| `%s` |", v.Name)
		for _, e := range v.Effects {
			if e.Refused != "" {
				fmt.Fprintf(&b, " *refused*: %s |", e.Refused)
				continue
			}
			fmt.Fprintf(&b, " %s |", e.Does)
		}
		b.WriteString("\n")
	}
	return b.String()
}
