package analyzer

import (
	"strings"
	"testing"
	"time"
)

func checkOf(t *testing.T, v Verdict, name string) Check {
	t.Helper()
	for _, c := range v.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s in %+v", name, v.Checks)
	return Check{}
}

// asking is the evidence of a stage that is the only one to ask for a certified pass.
func asking(e Evidence) Evidence {
	e.Ask, e.Asks = 1, 1
	return e
}

// TestACertifiedPass: with a thousand exposed nodes and no failure one point is ruled out, and with few it is said how
// many more it takes.
func TestACertifiedPass(t *testing.T) {
	v := Look(DefaultPolicy(), asking(newSim(1, 20_000, 1_000, 0, 0).at(2*time.Hour)))
	if v.Result != Pass || v.Grade != Certified || !strings.Contains(v.Reason, "rules out that 1 points more nodes fail (99 % confidence)") {
		t.Errorf("%s %s: %s; %q", v.Result, v.Grade, v.Reason, v.Uncertified)
	}
	v = Look(DefaultPolicy(), asking(newSim(1, 20_000, 200, 0, 0).at(2*time.Hour)))
	if v.Result != Pass || v.Grade != Clean || len(v.Uncertified) != 3 || !strings.Contains(v.Uncertified[1], "new_failures: to rule out +1 points with 99 % confidence, 288 more exposed nodes are needed (0 of 200 had it so far)") {
		t.Errorf("%s %s: %s; %q", v.Result, v.Grade, v.Reason, v.Uncertified)
	}
	p := DefaultPolicy()
	p.Checks.Compile.Required, p.Checks.Silence.Required, p.Checks.NewFailures.RuleOut = false, false, .05
	if v = Look(p, asking(newSim(1, 20_000, 200, 0, 0).at(2*time.Hour))); v.Grade != Certified {
		t.Errorf("with 5 points: %s %s: %q", v.Result, v.Grade, v.Uncertified)
	}
}

// TestOnlyStagesThatAskAreCertified: a certificate that nobody asked for would spend the error of those that are.
func TestOnlyStagesThatAskAreCertified(t *testing.T) {
	e := newSim(1, 20_000, 1_000, 0, 0).at(2 * time.Hour)
	e.Asks = 1
	if v := Look(DefaultPolicy(), e); v.Result != Pass || v.Grade != Clean || v.Uncertified != nil {
		t.Errorf("%s %s: %q", v.Result, v.Grade, v.Uncertified)
	}
	for _, wrong := range [][2]int{{2, 1}, {1, 0}, {-1, 1}} {
		if e.Ask, e.Asks = wrong[0], wrong[1]; Look(DefaultPolicy(), e).Result == Pass {
			t.Errorf("ask %d of %d: a pass", e.Ask, e.Asks)
		}
	}
}

// TestAsksShareTheError: however many stages ask, all their errors together are the rollout's. Each of several must be worse off than
// one that asks alone.
func TestAsksShareTheError(t *testing.T) {
	for asks := 1; asks <= 100; asks++ {
		sum := 0.0
		for ask := 1; ask <= asks; ask++ {
			spent := askError(ask, asks)
			if sum += spent; spent <= 0 || asks > 1 && spent >= askError(1, 1) {
				t.Errorf("ask %d of %d spends %v", ask, asks, spent)
			}
		}
		if sum > CertifiedError*(1+1e-9) || sum < .999*CertifiedError {
			t.Errorf("%d asks spend %v", asks, sum)
		}
	}
	e := newSim(1, 20_000, 520, 0, 0).at(2 * time.Hour)
	for asks, want := range map[int]Grade{1: Certified, 2: Clean} { // 488 nodes are needed alone
		if e.Ask, e.Asks = 1, asks; Look(DefaultPolicy(), e).Grade != want {
			t.Errorf("the first of %d asks: %s", asks, Look(DefaultPolicy(), e).Grade)
		}
	}
}

// TestFewAnswersAreNoCertificate: what looks cost is known for the last twentieth of a stage's answers.
func TestFewAnswersAreNoCertificate(t *testing.T) {
	e := asking(newSim(1, 20_000, 1_000, 0, 0).at(2 * time.Hour))
	for i, n := range e.Nodes {
		if n.Admitted() && i%10 == 0 {
			n.Summary.Runs = 0
		}
	}
	p := DefaultPolicy()
	p.Coverage = .5
	if v := Look(p, e); v.Result != Pass || v.Grade != Clean || !lacksAbout(v, "950 are needed, whatever coverage asks for") {
		t.Errorf("%s %s: %q", v.Result, v.Grade, v.Uncertified)
	}
}

// TestAWholeSegmentIsOnlyDescribed: where nobody is left to compare with, the bound is silent, and a pass cannot be certified.
func TestAWholeSegmentIsOnlyDescribed(t *testing.T) {
	f := newSim(1, 20_000, 1_000, .01, 0)
	for i := range f.Nodes {
		f.Nodes[i].Outside = !f.Nodes[i].Admitted() // such as all of another datacenter
	}
	v := Look(DefaultPolicy(), asking(f.at(2*time.Hour)))
	if v.Grade == Certified || len(v.Uncertified) != 1 || !strings.Contains(v.Uncertified[0], "no stratum has both") {
		t.Errorf("%s %s: %q", v.Result, v.Grade, v.Uncertified)
	}
	if b := checkOf(t, v, "new_failures").Bound; b == nil || b.Events != 0 || b.Crossed {
		t.Errorf("bound %+v", b)
	}
}

// TestStrataDoNotMix: one kind of node fails more often and has more canaries. Without strata that looks like the change.
func TestStrataDoNotMix(t *testing.T) {
	f := newSim(3, 8_000, 1_000, 0, 0)
	f.Planned = 0
	worse := func(n Node) bool { return n.Stratum == "db" }
	for i, n := range f.Nodes {
		if n.Admitted() && !worse(n) && i%32 != 31 { // web nodes are rarely canaries
			f.Nodes[i].Stage, f.Nodes[i].AdmittedAt = -1, 0
		}
	}
	for i, n := range f.Nodes {
		if worse(n) && i%8 == 0 {
			at := f.runs[i]
			f.all = append(f.all, Run{Hash: n.Certname, Certname: n.Certname, Environment: "base", Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
				Start: at, End: at.Add(time.Second), Produced: at.Add(time.Second), Received: at.Add(time.Second),
				Detail: &Detail{Metrics: map[string]float64{metricConvertCatalog: .1}, Failures: []Failure{{Kind: KindResource, Resource: "Service[db]"}}}})
		}
	}
	if v, after := f.play(DefaultPolicy()); v.Result == Fail {
		t.Errorf("after %s: %s", after, v.Reason)
	}
	for i := range f.Nodes {
		f.Nodes[i].Stratum = ""
	}
	if v, _ := f.play(DefaultPolicy()); v.Result != Fail {
		t.Errorf("without strata the mix should show: %s %+v", v.Reason, checkOf(t, v, "new_failures").Bound)
	}
}

// TestAPlaceboThatFiresHolds: nodes that failed more than others on the day before cannot be judged by the same failures.
func TestAPlaceboThatFiresHolds(t *testing.T) {
	f := newSim(5, 8_000, 1_000, 0, 0)
	for i, n := range f.Nodes {
		if i%40 == 0 || n.Admitted() && i%8 == 1 {
			at := f.StageStarted.Add(-time.Duration(i%20+1) * time.Hour)
			f.all = append(f.all, Run{Hash: n.Certname, Certname: n.Certname, Environment: "base", Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
				Start: at, End: at.Add(time.Second), Produced: at.Add(time.Second), Received: at.Add(time.Second)})
		}
	}
	v := Look(DefaultPolicy(), f.at(2*time.Hour))
	if v.Result != Inconclusive || !strings.Contains(strings.Join(v.Missing, "\n"), "the cohorts differed before the change") {
		t.Errorf("%s: %s; %q", v.Result, v.Reason, v.Missing)
	}
}

// TestSlowerRunsAreFound: two percent slower on 1,000 canaries, with nodes that vary by 15 %, is beyond the boundary.
func TestSlowerRunsAreFound(t *testing.T) {
	for _, c := range []struct {
		slower float64
		want   Result
	}{{1, Pass}, {1.004, Pass}, {1.02, Fail}} {
		f := newSim(9, 20_000, 1_000, 0, 0)
		for i := range f.Nodes {
			noise := f.rng.NormFloat64() * .15 / binWidth
			if f.Nodes[i].Admitted() {
				noise += (c.slower - 1) / binWidth
			}
			f.Nodes[i].Summary.Slower = Slower{Bins: int16(max(-mostBins, min(noise, mostBins))), Runs: 1}
		}
		v := Look(DefaultPolicy(), f.at(2*time.Hour))
		got := checkOf(t, v, "run_time")
		if got.Result != c.want || len(v.Looks) != 1 {
			t.Errorf("%v times slower: %s: %s", c.slower, got.Result, got.Reason)
		}
		if got.Low > c.slower-1 || got.High < c.slower-1 {
			t.Errorf("%v times slower is outside %v to %v", c.slower, got.Low, got.High)
		}
		// A look that brings nothing new takes none.
		again := f.at(2 * time.Hour)
		again.Looks = v.Looks
		if w := Look(DefaultPolicy(), again); len(w.Looks) != 1 {
			t.Errorf("%d looks at the same data", len(w.Looks))
		}
	}
}

// TestARequiredRunTimeIsRuledOutAsSurely: the upper end of the 95 % interval that is shown is not enough.
func TestARequiredRunTimeIsRuledOutAsSurely(t *testing.T) {
	f := newSim(9, 20_000, 1_000, 0, 0)
	for i := range f.Nodes {
		f.Nodes[i].Summary.Slower = Slower{Bins: int16(max(-mostBins, min(f.rng.NormFloat64()*.15/binWidth, mostBins))), Runs: 1}
	}
	e, p := asking(f.at(2*time.Hour)), DefaultPolicy()
	p.Checks.RunTime.Required, p.Checks.RunTime.Tolerate = true, 0
	shown := checkOf(t, Look(p, e), "run_time").High
	for more, want := range map[float64]Grade{.0001: Clean, .01: Certified} {
		p.Checks.RunTime.RuleOut = shown + more
		if v := Look(p, e); v.Grade != want {
			t.Errorf("to rule out %v more than the %v that are shown: %s %q", more, shown, v.Grade, v.Uncertified)
		}
	}
}

// TestRunsThatNeverSettleAreFound: every second canary changes something again on its second run.
func TestRunsThatNeverSettleAreFound(t *testing.T) {
	f := newSim(4, 8_000, 1_000, 0, 0)
	for i, n := range f.Nodes {
		if n.Admitted() && i%2 == 0 || !n.Admitted() && i%100 == 0 {
			at := f.runs[i].Add(30 * time.Minute)
			n.Summary.Odd = &Odd{Convergence: Onset{At: at.UnixMilli(), Seen: at.Add(30 * time.Second).UnixMilli()}}
		}
	}
	v := Look(DefaultPolicy(), f.at(2*time.Hour))
	if v.Result != Fail || v.Road != RoadBound || !strings.HasPrefix(v.Reason, "convergence: ") {
		t.Errorf("%s: %s", v.Result, v.Reason)
	}
}

// TestNodesThatFallSilentAreFound: a hundredth of the canaries never comes back, and of the others none.
func TestNodesThatFallSilentAreFound(t *testing.T) {
	f := newSim(4, 8_000, 2_000, 0, 0)
	silent := 0
	for i, n := range f.Nodes {
		if n.Admitted() && i%100 < 2 {
			f.runs[i] = now.Add(time.Hour) // it never runs again
			silent++
		}
	}
	v, after := f.play(DefaultPolicy())
	if v.Result != Fail || v.Road != RoadBound || !strings.HasPrefix(v.Reason, "silence: ") {
		t.Errorf("of %d silent nodes after %s: %s: %s", silent, after, v.Result, v.Reason)
	}
	if c := v.Culprit; c == nil || c.Kind != KindSilence || len(c.Strata) != 2 || c.Strata[0].Nodes == 0 || !strings.Contains(v.Reason, "without a sign of life, hardest in ") {
		t.Errorf("culprit %+v: %s", c, v.Reason)
	}
}

// TestMakingAChangeIsNoLackOfConvergence: the first run with the change changes every canary, and every second node now and then changes
// something at any run. That is no reason to take anything back; runs that go on changing are.
func TestMakingAChangeIsNoLackOfConvergence(t *testing.T) {
	for _, c := range []struct {
		name  string
		again bool
		want  Result
	}{{"once", false, Pass}, {"at every run", true, Fail}} {
		w := newWorld(60, 600)
		for i := range w.Nodes {
			base := i%2 == 0
			for n := 1; n <= 12; n++ {
				r := w.nth(w.Nodes[i].Certname, n)
				first := w.Nodes[i].Admitted() && n == 2
				if base && (n+i/2)%3 == 0 || first || c.again && w.Nodes[i].Admitted() && n < 2 {
					r.Status = statusChanged
				}
			}
			if w.Nodes[i].Admitted() {
				r := w.run(w.Nodes[i].Certname, -2*time.Minute, "cand")
				if c.again {
					r.Status = statusChanged
				}
			}
		}
		got := checkOf(t, Look(DefaultPolicy(), w.Evidence), "convergence")
		if got.Result != c.want {
			t.Errorf("%s: %s: %s, %+v", c.name, got.Result, got.Reason, got.Bound)
		}
	}
}

// TestTheCulpritIsWhatTellsTheCohortsApart: among failures that everybody has, it is the one that nodes with the change have
// more often, not the most frequent one and not one that happened once.
func TestTheCulpritIsWhatTellsTheCohortsApart(t *testing.T) {
	f := newSim(8, 8_000, 1_000, 0, 0)
	fail := func(i int, resource string) {
		at := f.runs[i]
		f.all = append(f.all, Run{Hash: f.Nodes[i].Certname + resource, Certname: f.Nodes[i].Certname, Environment: "base", Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
			Start: at, End: at.Add(time.Second), Produced: at.Add(time.Second), Received: at.Add(time.Second),
			Detail: &Detail{Metrics: map[string]float64{metricConvertCatalog: .1}, Failures: []Failure{{Kind: KindResource, Resource: resource}}}})
	}
	once := false
	for i, n := range f.Nodes {
		switch {
		case i%20 == 0:
			fail(i, "Exec[everywhere]")
		case i%20 == 1 && n.Admitted(), i%1000 == 3:
			fail(i, "Service[worse]")
		case n.Admitted() && !once:
			once = true
			fail(i, "Exec[once]")
		}
	}
	v := Look(DefaultPolicy(), f.at(2*time.Hour))
	if v.Result != Fail || v.Culprit == nil || v.Culprit.Resource != "Service[worse]" {
		t.Errorf("%s: %s, culprit %+v", v.Result, v.Reason, v.Culprit)
	}
}

// TestARunOfSomethingElseIsNoAnswer: admitted nodes that ran, but not the change, or too seldom, prove nothing to a certified pass.
func TestARunOfSomethingElseIsNoAnswer(t *testing.T) {
	for name, runs := range map[string]int32{"the baseline": 0, "the change once": 1} {
		f := newSim(1, 20_000, 505, 0, 0)
		e := asking(f.at(2 * time.Hour))
		k := 0
		for i, n := range e.Nodes {
			if !n.Admitted() {
				continue
			}
			if k++; k%25 != 0 {
				continue
			}
			n.Summary.Runs = runs // that their runs are listed changes nothing
			at := f.runs[i]
			e.Runs = append(e.Runs, Run{Hash: n.Certname, Certname: n.Certname, Environment: "base", Status: "unchanged", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
				Start: at, End: at.Add(time.Second), Produced: at.Add(time.Second), Received: at.Add(time.Second)})
		}
		v := Look(DefaultPolicy(), e)
		if v.Grade == Certified || !lacksAbout(v, "3 more exposed nodes are needed (0 of 485 had it so far)") {
			t.Errorf("%s: %s %s: %q", name, v.Result, v.Grade, v.Uncertified)
		}
	}
}
