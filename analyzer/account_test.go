package analyzer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// stageOf is a frame of canaries that were admitted at times in ms, and controls, with as many failures, each of which chance gives
// to one of those at risk.
func stageOf(r *rand.Rand, admitted []int64, controls, failures int) *cohorts {
	c := &cohorts{policy: DefaultPolicy()}
	s := c.frame.stratum("")
	s.controls[failureEvents] = controls
	for _, at := range admitted {
		s.joined(at).n[failureEvents]++
	}
	for k := range failures {
		e := event{at: int64(k) * 10_000, of: s, certname: fmt.Sprint(k)}
		e.seen = e.at
		if i := r.IntN(len(admitted) + controls); i < len(admitted) && admitted[i] <= e.at {
			e.canary, e.since = true, e.at-admitted[i]
		}
		s.events[failureEvents] = append(s.events[failureEvents], e)
	}
	return c
}

// TestAgainstHasMeanOne: what a stage says against a change that does nothing is 1 on average, whoever was admitted when. So M·(what
// is left) does not grow by chance.
func TestAgainstHasMeanOne(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	ramp := make([]int64, 30)
	for i := range ramp {
		ramp[i] = int64(i) * 2_000
	}
	for name, admitted := range map[string][]int64{"at once": make([]int64, 30), "one after the other": ramp} {
		var sum, squares [alternatives]float64
		const stages = 20_000
		for range stages {
			logs := stageOf(r, admitted, 400, 4).against(failureEvents)
			for i, l := range logs {
				sum[i] += math.Exp(l)
				squares[i] += math.Exp(2 * l)
			}
		}
		for i := range sum {
			mean := sum[i] / stages
			if se := math.Sqrt((squares[i]/stages - mean*mean) / stages); math.Abs(mean-1) > 4*se {
				t.Errorf("%s: hazard ratio %v: mean %.3f ± %.3f, want 1", name, accountHazards[i], mean, se)
			}
		}
	}
}

// TestAgainstForgetsOldCanaries: who has had the change for longer than it takes to show is in neither arm.
func TestAgainstForgetsOldCanaries(t *testing.T) {
	c := stageOf(rand.New(rand.NewPCG(1, 2)), []int64{0, 0, 0}, 100, 0)
	s := c.frame.stratum("")
	window := c.policy.showsWithin(failureEvents).Milliseconds()
	s.events[failureEvents] = []event{{at: window, seen: window, since: window, canary: true, of: s}, {at: window + 1, seen: window + 1, of: s}}
	if logs := c.against(failureEvents); logs != [alternatives]float64{} {
		t.Errorf("nobody was at risk, got %v", logs)
	}
	s.events[failureEvents][0].at, s.events[failureEvents][0].since = window-1, window-1
	if logs := c.against(failureEvents); !(logs[0] > 1) {
		t.Errorf("a canary failed in its first run, got %v", logs)
	}
}

// TestAccountsHoldTheBudget: over whole rollouts of a change that does nothing, with a look at every event, no more are taken back
// than the budget allows, and nearly as many: what one stage does not spend another does.
func TestAccountsHoldTheBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const rollouts, budget = 6_000, .05
	back := 0
	for range rollouts {
		account, stages := Account{}, []int{20, 60, 200}
		for k, canaries := range stages {
			c := stageOf(r, make([]int64, canaries), 600, 120)
			c.evidence = Evidence{StageIndex: k, Stages: len(stages), Accounts: map[string]Account{eventNames[failureEvents]: account}}
			if k == 0 {
				c.evidence.Accounts = nil
			}
			c.policy.Alpha = budget / budgetShares[failureEvents]
			c.frame.starts = []admissions{{at: time.UnixMilli(0), nodes: canaries}}
			c.evidence.StageStarted, c.evidence.Now = time.UnixMilli(0), time.UnixMilli(0).Add(2*time.Hour)
			b, _, err := c.bound(failureEvents)
			if err != nil {
				t.Fatal(err)
			}
			if b.Crossed {
				back++
				break
			}
			account = c.account(eventNames[failureEvents]).close(budget, b.Spent, c.against(failureEvents))
		}
	}
	share, se := float64(back)/rollouts, math.Sqrt(budget*(1-budget)/rollouts)
	if share > budget+4*se || share < budget/2 {
		t.Errorf("%.4f of the rollouts were taken back, the budget is %v ± %.4f", share, budget, se)
	}
}

// TestEvidenceIsCarriedOn: half a point more failures, which no stage shows by itself, is found by several together.
func TestEvidenceIsCarriedOn(t *testing.T) {
	f := newSim(4, 6_000, 300, .0005, .006)
	e := f.at(2 * time.Hour)
	e.Stages = 4
	first := Look(DefaultPolicy(), e)
	a := first.Accounts["new_failures"]
	if first.Result == Fail || a.weight() < 2 {
		t.Fatalf("%s: %+v", first.Reason, a)
	}
	e.StageIndex, e.Accounts = 1, first.Accounts
	for i := range e.Nodes { // the next stage sees the same
		if e.Nodes[i].Admitted() {
			e.Nodes[i].Stage = 1
		}
	}
	with := Look(DefaultPolicy(), e)
	e.Accounts = nil
	without := Look(DefaultPolicy(), e)
	if a, b := checkOf(t, with, "new_failures").Bound, checkOf(t, without, "new_failures").Bound; !(a.Alpha > 2*b.Alpha) || a.Reject > b.Reject {
		t.Errorf("with the stage before: %+v, without: %+v", a, b)
	}
	other := with.Accounts["compile"]
	if other.Spent > 1e-4 || other.weight() < .99 {
		t.Errorf("no compile failed at all, so nothing was spent and nothing learned: %+v", other)
	}
}

// TestLevelsOfStages: without evidence each stage may spend up to its part of the plan, and what stages without an account may have
// spent is taken as spent.
func TestLevelsOfStages(t *testing.T) {
	for _, x := range []struct {
		stage, stages int
		account       *Account
		want          float64
	}{
		{0, 0, nil, .01}, {0, 4, nil, .0025}, {3, 4, nil, .0025}, {2, 0, nil, .01 / 3},
		{0, 60, nil, .01 * (1./120 + 1./12)}, {59, 60, nil, .01 * (1./120 + math.Pow(5./6, 59)/2)},
		{1, 4, &Account{}, .005},
		{1, 4, &Account{Spent: .25, Against: []float64{1, 1, 1}}, .0025},
		{1, 4, &Account{Spent: .25, Against: []float64{0, 0, 0}}, .00125},
		{1, 4, &Account{Spent: .25, Against: []float64{0, 0, 9}}, .005},
		{1, 4, &Account{Spent: .25, Against: []float64{1e9, 0, 0}}, mostLevel},
		{1, 4, &Account{Spent: .75, Against: []float64{1, 1, 1}}, leastLevel},
	} {
		c := &cohorts{evidence: Evidence{StageIndex: x.stage, Stages: x.stages}}
		if x.account != nil {
			c.evidence.Accounts = map[string]Account{"compile": *x.account}
		}
		got := c.level("compile", .01)
		if math.Abs(got-x.want) > 1e-12 {
			t.Errorf("stage %d of %d, %+v: %v, want %v", x.stage, x.stages, x.account, got, x.want)
		}
		a := c.account("compile")
		if left := .01 * (planned(x.stage+1, c.stages()) - a.Spent); left > 0 && math.Abs(c.carried("compile", .01)*left-got) > 1e-12 {
			t.Errorf("stage %d of %d, %+v: %v times %v is not %v", x.stage, x.stages, x.account, c.carried("compile", .01), left, got)
		}
	}
}

// TestAccountsAreRoundedDown: a few digits are written, never more than there is.
func TestAccountsAreRoundedDown(t *testing.T) {
	for _, r := range []float64{1, .9999, .12345, 1.0049, 9.999, 99.99, 123456, 2e-4, 1e-5, 1e12} {
		got := fewDigits(math.Log(r))
		if got > r || r >= 1e-4 && r < 1e9 && got < .989*r || len(fmt.Sprint(got)) > 8 {
			t.Errorf("%v is written as %v", r, got)
		}
	}
	a := Account{Spent: .123456, Against: []float64{2, 2, 2}}.close(.01, .0000012345, [alternatives]float64{})
	if a.Spent < .123456+.000061 || a.Spent > .12354 {
		t.Errorf("%+v", a)
	}
}

func TestAccountsThatMakeNoSense(t *testing.T) {
	for want, a := range map[string]Account{
		"spent -0.1": {Spent: -.1}, "spent 1.5": {Spent: 1.5}, "spent NaN": {Spent: math.NaN()},
		"has 2 likelihood ratios": {Against: []float64{1, 1}}, "ratio -1": {Against: []float64{1, -1, 1}}, "ratio +Inf": {Against: []float64{1, 1, math.Inf(1)}},
	} {
		e := newWorld(20, 60).Evidence
		e.Accounts = map[string]Account{"silence": a}
		if v := Look(DefaultPolicy(), e); v.Result != Inconclusive || !strings.Contains(v.Reason, "account of silence") || !strings.Contains(v.Reason, want) {
			t.Errorf("%q: %s, %s", want, v.Result, v.Reason)
		}
	}
	e := newWorld(20, 60).Evidence
	e.StageIndex, e.Stages = 1, 1
	if v := Look(DefaultPolicy(), e); v.Result != Inconclusive || !strings.Contains(v.Reason, "stage 2 of 1") {
		t.Errorf("%s, %s", v.Result, v.Reason)
	}
}

// TestWhoIsAtRisk: what is added up once is what counting says, in whatever order nodes come, and after some that come later.
func TestWhoIsAtRisk(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := &stratum{}
	for check := range eventChecks {
		s.controls[check] = r.IntN(50)
	}
	for range 60 {
		for check := range s.joined(int64(r.IntN(100))).n {
			s.joined(int64(r.IntN(100))).n[check] += r.IntN(3)
		}
		at, window, check := int64(r.IntN(120)-10), int64(r.IntN(80)), r.IntN(eventChecks)
		canaries, fresh, others := 0, 0, s.controls[check]
		for _, j := range s.canaries {
			switch {
			case j.at > at:
				others += j.n[check]
			case at-j.at < window:
				fresh += j.n[check]
				canaries += j.n[check]
			default:
				canaries += j.n[check]
			}
		}
		if y1, y0 := s.atRisk(check, at); y1 != canaries || y0 != others {
			t.Fatalf("at %d: %d and %d at risk, want %d and %d", at, y1, y0, canaries, others)
		}
		if y1, y0 := s.lately(check, at, window); y1 != fresh || y0 != others {
			t.Fatalf("at %d since %d before: %d and %d, want %d and %d", at, window, y1, y0, fresh, others)
		}
	}
}

// TestInformationOfARamp: what is added up once gives the very number that the formula gives.
func TestInformationOfARamp(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	c := &cohorts{policy: DefaultPolicy(), evidence: Evidence{StageStarted: now, Bake: 90 * time.Minute}}
	planned := 0
	for k := range 300 {
		n := 1 + r.IntN(40)
		c.frame.started(now.Add(time.Duration(k*r.IntN(100))*time.Second), n)
		planned += n
	}
	run, interval := float64((c.policy.Silence.Interval+c.policy.Silence.Splay)/1e6), float64(c.policy.Silence.Interval/1e6)
	for range 500 {
		ms := now.UnixMilli() + r.Int64N(8*3600_000) - 60_000
		first, value := 0.0, 0.0
		for _, a := range c.frame.starts {
			since := float64(ms - a.at.UnixMilli())
			share := within(since / run)
			first += float64(float64(a.nodes) * share)
			value += float64(float64(a.nodes) * ((share + within((since-interval)/interval)) / 2))
		}
		bake := float64(.2 * within(float64(ms-now.UnixMilli())/float64(90*time.Minute/1e6)))
		if got, want := c.info()(ms), within(float64(.8*(first/float64(planned)))+bake); got != want {
			t.Fatalf("%v of the first runs, want %v", got, want)
		}
		if got, want := c.valueInfo()(ms), within(float64(.8*(value/float64(planned)))+bake); got != want {
			t.Fatalf("%v of the values, want %v", got, want)
		}
	}
}
