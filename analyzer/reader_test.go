package analyzer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A Prometheus that does not answer once must not make the judge forget which looks it has paid for.
func TestNoSampleForgetsNoLook(t *testing.T) {
	for name, sample := range map[string][]SLISample{
		"an error":  {{Name: "errors", Err: "timeout"}},
		"no sample": nil,
	} {
		w := newWorld(20, 60)
		p := DefaultPolicy()
		p.SLIs = []SLIPolicy{{Name: "errors", Query: "errors", Direction: Increase}}
		w.SLIs = sample
		w.Looks = []MagnitudeLook{
			{Check: "run_time", T: .3, Information: 10, Z: 1, Boundary: 4},
			{Check: "sli:errors", T: .3, Information: 10, Z: 1, Boundary: 4},
		}
		if v := Judge(p, w.Evidence); !slices.Contains(v.Looks, w.Looks[1]) {
			t.Errorf("%s: looks %+v, want the one at the sli too", name, v.Looks)
		}
	}
}

// summed has n nodes in order, without any run in the evidence.
func (w *world) summed(prefix string, n, stage int, admitted time.Time, runs int32) {
	for i := range n {
		s := Summary{Habit: Habit{Reports: 8, Enforced: true, Usual: QuartersOf(30 * time.Minute), Longest: QuartersOf(20 * time.Second), Last: w.StageStarted.Add(-5 * time.Minute).UnixMilli()},
			Seen: now.Add(-5 * time.Minute).UnixMilli(), Runs: runs}
		if !admitted.IsZero() {
			s.Last = admitted.Add(-5 * time.Minute).UnixMilli()
		}
		w.Nodes = append(w.Nodes, Node{Certname: fmt.Sprintf("%s%05d.example.test", prefix, i), Stage: int32(stage), AdmittedAt: MomentOf(admitted), Summary: &s})
	}
}

func lacksAbout(v Verdict, part string) bool {
	for _, m := range append(v.Missing, v.Uncertified...) {
		if strings.Contains(m, part) {
			return true
		}
	}
	return false
}

// What a check that is required for a certified pass has not measured is not ruled out.
func TestRequiredButNotMeasuredIsNotCertified(t *testing.T) {
	w := newWorld(0, 0)
	w.summed("c", 1000, 0, w.StageStarted, 2)
	w.summed("k", 2000, -1, time.Time{}, 0)
	w.Ask, w.Asks = 1, 1
	if v := w.judge(); v.Grade != Certified {
		t.Fatalf("%+v %v, want a certified pass to start from", v.Result, v.Uncertified)
	}
	for name, require := range map[string]func(*Policy){
		"run_time":         func(p *Policy) { p.Checks.RunTime.Required = true },
		"config_retrieval": func(p *Policy) { p.Checks.ConfigRetrieval.Required = true },
	} {
		p := DefaultPolicy()
		require(&p)
		if v := Judge(p, w.Evidence); v.Grade == Certified || !lacksAbout(v, name) {
			t.Errorf("%s: %s %v, want no certificate for what nobody measured", name, v.Grade, v.Uncertified)
		}
	}
}

// Certified passes count failures and silence only, so nothing else can be required of one.
func TestOnlyWhatIsCountedCanBeRequired(t *testing.T) {
	for name, require := range map[string]func(*Policy){
		"checks.corrective.required":  func(p *Policy) { p.Checks.Corrective.Required = true },
		"checks.convergence.required": func(p *Policy) { p.Checks.Convergence.Required = true },
	} {
		p := DefaultPolicy()
		require(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
}

// TestEarlierStagesDoNotRunForThisOne: many nodes of earlier stages must not stand for the runs of the few of this one.
func TestEarlierStagesDoNotRunForThisOne(t *testing.T) {
	w := newWorld(0, 0)
	w.StageIndex = 1
	w.summed("a", 1000, 0, w.StageStarted.Add(-3*time.Hour), 8)
	w.summed("c", 20, 1, w.StageStarted, 1)
	w.summed("k", 500, -1, time.Time{}, 0)
	v := w.judge()
	if v.Result != Inconclusive || v.Counts.Runs != 1 || !lacksAbout(v, "fewer than 2 runs") {
		t.Errorf("%s, %d runs: %s, want a stage whose nodes ran once to hold", v.Result, v.Counts.Runs, v.Reason)
	}
}

// TestEarlierStagesDoNotSpeakForSilentNodes: a stage that takes all nodes of a segment and has them fall silent holds,
// however many nodes of earlier stages go on.
func TestEarlierStagesDoNotSpeakForSilentNodes(t *testing.T) {
	w := newWorld(0, 0)
	w.StageIndex, w.StageStarted = 1, now.Add(-4*time.Hour)
	w.summed("a", 1000, 0, w.StageStarted.Add(-3*time.Hour), 8)
	w.summed("c", 20, 1, w.StageStarted, 2)
	for i := 1000; i < len(w.Nodes); i++ {
		w.Nodes[i].Summary.Seen = now.Add(-3 * time.Hour).UnixMilli()
	}
	if v := w.judge(); v.Result == Pass {
		t.Errorf("pass: %s, although all 20 nodes of the stage are silent", v.Reason)
	}
}

// TestSilentControlStaysInTheLog: a control that falls silent and is admitted after that has had its event as a control. If
// admission took it out of the log, only the canaries' silence would be left.
func TestSilentControlStaysInTheLog(t *testing.T) {
	w := newWorld(0, 0)
	w.StageStarted = now.Add(-6 * time.Hour)
	w.summed("c", 50, 0, w.StageStarted, 11)
	w.summed("k", 100, -1, time.Time{}, 0)
	w.summed("m", 10, 0, now.Add(-2*time.Hour), 0)
	for i := 150; i < 160; i++ { // last seen an hour into the stage, admitted three hours later
		s := w.Nodes[i].Summary
		s.Last = w.StageStarted.Add(time.Hour).UnixMilli()
		s.Seen = s.Last
	}
	v := w.judge()
	for _, c := range v.Checks {
		if c.Name == "silence" && (c.Bound.Events != 10 || c.Bound.Canary != 0) {
			t.Errorf("%d events, %d of canaries, want 10 of controls", c.Bound.Events, c.Bound.Canary)
		}
	}
}

// TestSLIsAreComparedInsideTheStage: nodes that the stage's segment does not hold are another kind of node.
func TestSLIsAreComparedInsideTheStage(t *testing.T) {
	w := newWorld(30, 60)
	p := DefaultPolicy()
	p.SLIs = []SLIPolicy{{Name: "load", Query: "load", Direction: Increase}}
	s := SLISample{Name: "load", Canary: map[string]float64{}, Control: map[string]float64{}}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		v := 10 + float64(i%7)
		if !n.Admitted() {
			if n.Outside = i%2 == 0; n.Outside {
				v = 1
			}
			s.Control[n.Certname] = v
			continue
		}
		s.Canary[n.Certname] = v
	}
	w.SLIs = []SLISample{s}
	if v := Judge(p, w.Evidence); v.Result == Fail {
		t.Errorf("fail: %s, although only nodes outside the segment differ", v.Reason)
	}
}

// TestNoControlIsNotCalledOne: a sentence must not lean on controls that there are not.
func TestNoControlIsNotCalledOne(t *testing.T) {
	w := newWorld(0, 0)
	w.summed("c", 200, 0, w.StageStarted, 2)
	v := w.judge()
	for _, c := range v.Checks {
		if strings.Contains(c.Reason, "controls let expect") {
			t.Errorf("%s: %q without any control", c.Name, c.Reason)
		}
	}
	if strings.Contains(v.Reason, "worse than the controls") {
		t.Errorf("%q without any control", v.Reason)
	}
}

// TestAdmissionInTheSecondOfAnEvent: events of one second are one batch, also where nodes are admitted in the middle of it.
func TestAdmissionInTheSecondOfAnEvent(t *testing.T) {
	w := newWorld(0, 0)
	start := w.StageStarted
	w.summed("a", 1, 0, start, 2)
	w.summed("c", 3, 0, start.Add(10*time.Minute+500*time.Millisecond), 2)
	w.summed("k", 60, -1, time.Time{}, 0)
	fails := func(node int, after time.Duration) {
		r := w.run(w.Nodes[node].Certname, start.Add(after).Sub(now), "cand")
		r.End, r.Produced, r.Received = r.Start, r.Start, start.Add(10*time.Minute+2*time.Second)
		r.fail("Exec[broken]")
	}
	fails(0, 10*time.Minute+100*time.Millisecond)
	for i := 1; i < 4; i++ {
		fails(i, 10*time.Minute+900*time.Millisecond)
	}
	for _, c := range w.judge().Checks {
		if strings.Contains(c.Reason, "comparison failed") {
			t.Errorf("%s: %s", c.Name, c.Reason)
		}
	}
}
