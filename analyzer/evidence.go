package analyzer

import (
	"fmt"
	"time"
)

// Kinds of change, as in Evidence.Kind.
const (
	KindEnvironment = "environment"
	KindParameters  = "parameters"
)

// Node is one eligible node of the rollout and the cohort it is in.
type Node struct {
	Certname string `json:"certname"`
	// AdmittedAt is when the admission was accepted; 0 for a control.
	AdmittedAt Moment `json:"admitted_at"`
	// Stratum is the kind of node it is; only nodes of one stratum are compared. It does not change during a stage.
	Stratum string `json:"stratum"`
	// Stage is the index of the stage that admitted the node, -1 for a control.
	Stage int32 `json:"stage"`
	// Outside: a control that is not in the segment of this stage. Chance did not decide that, so it is not compared.
	Outside bool `json:"outside,omitempty"`
	// Unproven: nothing shows that the node was given the parameters; its runs are none of the change.
	Unproven bool `json:"unproven,omitempty"`
	// Summary stands for the node's runs; nil where the evidence has them all.
	Summary *Summary `json:"summary,omitempty"`
	// Measured is what the metrics of its reports say; nil where they were not read.
	Measured *Measured `json:"measured,omitempty"`
}

// Admitted reports whether the node may have the change.
func (n Node) Admitted() bool { return n.AdmittedAt != 0 }

// Sources says how far the evidence can be trusted to be complete.
type Sources struct {
	// Fresh: every source answered lately and none has a backlog.
	Fresh bool `json:"fresh"`
	// Reasons says why not.
	Reasons []string `json:"reasons,omitempty"`
	// Through: reports are complete up to here; zero means not known.
	Through time.Time `json:"through"`
	// Lag is how long a report takes from the agent to us now.
	Lag time.Duration `json:"lag"`
}

// SLISample holds one value per node of one indicator at the time of the evidence.
type SLISample struct {
	Name string `json:"name"`
	// Canary and Control map certname to value.
	Canary  map[string]float64 `json:"canary,omitempty"`
	Control map[string]float64 `json:"control,omitempty"`
	// Aggregate is one value for all canaries; nil where the query gives none.
	Aggregate *float64 `json:"aggregate,omitempty"`
	// Err says why there is no data.
	Err string `json:"err,omitempty"`
}

// Evidence is everything that Judge looks at. Canonical stores it, and judging what
// was stored gives the same verdict.
type Evidence struct {
	Rollout    string `json:"rollout"`
	Stage      string `json:"stage"`
	StageIndex int    `json:"stage_index"`
	// Ask counts the stages of the schedule that ask for a certified pass, up to this one; 0: this one does not, and its pass is
	// clean. Asks is how many there are in all.
	Ask  int `json:"ask,omitempty"`
	Asks int `json:"asks,omitempty"`
	// Stages is how many the schedule has; 0: this is the last one.
	Stages int `json:"stages,omitempty"`
	// Accounts are what earlier stages left of the budgets of the checks, by check, as the verdict that each ended with gave them.
	Accounts map[string]Account `json:"accounts,omitempty"`
	// Kind is environment or parameters.
	Kind string `json:"kind"`
	// Candidate and Baseline name environments; both may be empty for parameters.
	Candidate    string    `json:"candidate"`
	Baseline     string    `json:"baseline"`
	StageStarted time.Time `json:"stage_started"`
	// Planned is how many nodes the stage is to add; 0 means those that it has.
	Planned int           `json:"planned,omitempty"`
	Bake    time.Duration `json:"bake"`
	// Nodes are the admitted nodes of all stages so far, and the controls.
	Nodes []Node `json:"nodes,omitempty"`
	// Runs reach back the longer of the lookback and a day before the first admission. Runs
	// of certnames that Nodes does not list only show what fails without the change.
	Runs []Run       `json:"runs,omitempty"`
	SLIs []SLISample `json:"slis,omitempty"`
	// Looks are those at magnitudes in this stage so far, as the verdicts before gave them.
	Looks   []MagnitudeLook `json:"looks,omitempty"`
	Sources Sources         `json:"sources"`
	// Now is when the evidence was taken.
	Now time.Time `json:"now"`
}

// classify reads a run of a node. A parameters change has no environment of its own, so
// there any fresh run can prove exposure; the caller asks when it began.
func (e Evidence) classify(r Run) Classification {
	if e.Kind == KindParameters {
		return r.Classify(r.Environment)
	}
	return r.Classify(e.Candidate)
}

// problems lists what makes the evidence unfit to be judged at all.
func (e Evidence) problems() []string {
	out := e.generalProblems()
	add := func(bad bool, sentence string) {
		if bad {
			out = append(out, sentence)
		}
	}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		twice, half := i > 0 && n.Certname == e.Nodes[i-1].Certname, n.Admitted() != (n.Stage >= 0)
		if n.Certname != "" && !twice && !half && int(n.Stage) <= e.StageIndex {
			continue
		}
		add(n.Certname == "", "a node of the evidence has no certname")
		add(twice, "the evidence lists node "+n.Certname+" twice")
		add(half, "node "+n.Certname+" has an admission time without a stage, or a stage without an admission time")
		add(int(n.Stage) > e.StageIndex, "node "+n.Certname+" was admitted by a stage after the one that is judged")
	}
	return out
}

// generalProblems are those that lie in no node.
func (e *Evidence) generalProblems() []string {
	var out []string
	add := func(bad bool, sentence string) {
		if bad {
			out = append(out, sentence)
		}
	}
	add(e.Kind != KindEnvironment && e.Kind != KindParameters, "the evidence's kind is "+quote(e.Kind)+", expected environment or parameters")
	add(e.Kind == KindEnvironment && e.Candidate == "", "the evidence names no candidate environment")
	add(e.Kind == KindEnvironment && e.Candidate != "" && e.Candidate == e.Baseline, "candidate and baseline are the same environment "+quote(e.Candidate))
	add(e.Now.IsZero(), "the evidence has no time of its own")
	add(e.StageStarted.IsZero(), "the evidence does not say when the stage started")
	add(e.Bake < 0, "the evidence's bake time is negative")
	add(e.Planned < 0, "the evidence's planned number of nodes is negative")
	add(e.Ask < 0 || e.Ask > e.Asks, fmt.Sprintf("the evidence is of stage %d of %d that ask for a certified pass", e.Ask, e.Asks))
	add(e.Stages != 0 && e.Stages <= e.StageIndex, fmt.Sprintf("the evidence is of stage %d of %d", e.StageIndex+1, e.Stages))
	out = append(out, e.accountProblems()...)
	add(e.Sources.Lag < 0, "the evidence's report lag is negative")
	for i, s := range e.SLIs {
		add(i > 0 && s.Name == e.SLIs[i-1].Name, "the evidence has sli "+s.Name+" twice")
	}
	return out
}
