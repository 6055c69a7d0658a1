package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/tools/internal/kayenta"
)

// The rules that see the same rollouts, in the order of the columns.
const (
	judgeRule = iota
	fisherRule
	stageSPRT
	wholeSPRT
	thresholdRule
	kayentaRule
	rules
)

var ruleNames = [rules]string{"the judge, its check new_failures", "Fisher, once when all canaries of a stage are exposed, same alpha", "oracle SPRT, same alpha in each stage",
	"oracle SPRT over all stages, with the alpha of all", "threshold tuned by hand", "Kayenta, 10 looks a stage"}

// found is when a rule stopped a rollout: canaries exposed by then, of all stages, and the stage. 0 canaries = never.
type found struct{ exposed, stage int }

const (
	step       = 10 * time.Second // between two looks for new failures
	firstDue   = interval + time.Minute
	stageTakes = 70 * time.Minute // two runs of each node, and the bake
)

// contest plays a rollout to its end, whatever the rules say, but for its last stage: a stage that has nobody to be compared with.
// The judge looks at every new failure of a canary, and every ten minutes. All others see the first run of every canary.
func contest(f *fleet, p plan) (out [rules]found) {
	policy := analyzer.DefaultPolicy()
	order := f.rng.Perm(len(f.nodes))
	now, admitted := f.start, 0
	oracle := sprt{base: f.world.base, extra: cmp.Or(f.change.fails, .005)}
	var left map[string]analyzer.Account
	for stage, target := range p.targets[:len(p.targets)-1] {
		e := f.stage(stage, now, target-admitted)
		e.Stages, e.Accounts = len(p.targets), left
		for _, i := range order[admitted:target] {
			f.admit(i, stage, now)
		}
		alpha := 0.0
		for hurt, grid := f.hurt, now.Add(lookEvery); now.Sub(e.StageStarted) < stageTakes; {
			now = now.Add(step)
			f.draw(now.Add(-behind))
			if f.hurt == hurt && now.Before(grid) {
				continue
			}
			hurt = f.hurt
			if !now.Before(grid) {
				grid = grid.Add(lookEvery)
			}
			if out[judgeRule].exposed > 0 && alpha > 0 {
				continue
			}
			f.show(&e, now)
			v := analyzer.Look(policy, e)
			e.Looks, left = v.Looks, v.Accounts
			for _, c := range v.Checks {
				if c.Name == "new_failures" && c.Bound != nil {
					alpha = c.Bound.Alpha
				}
			}
			if v.Result == analyzer.Fail && cause(v) == "new_failures" && out[judgeRule].exposed == 0 {
				out[judgeRule] = found{v.Counts.Exposed, stage}
			}
		}
		if oracle.alpha = alpha; stage == 0 {
			oracle.whole = alpha * float64(len(p.targets)) // the first stage has its part of the budget, and nothing that was carried
		}
		for rule, n := range f.rivals(&oracle, order[admitted:target], stage, e.StageStarted, alpha) {
			if n > 0 && out[rule].exposed == 0 {
				out[rule] = found{admitted + n, stage}
			}
		}
		admitted = target
		if !slices.ContainsFunc(out[:], func(x found) bool { return x.exposed == 0 }) {
			break
		}
	}
	return out
}

// first is a canary's first run with the change.
type first struct {
	at     time.Time
	clean  bool // in the day before; others prove nothing
	failed bool
}

// rivals says how many canaries of the stage were exposed when each rule stopped it, 0 = it did not.
func (f *fleet) rivals(oracle *sprt, canaries []int, stage int, began time.Time, alpha float64) (out [rules]int) {
	var runs []first
	clean, failed, controls, controlsFailed := 0, 0, 0, 0
	until := began.Add(firstDue)
	for _, i := range canaries {
		ok, at := f.firstFailure(i, began, until)
		r := first{at: f.runAt(i, int(f.fate[i].first)), clean: ok}
		r.failed = ok && at.Equal(r.at)
		clean += oneIf(ok)
		failed += oneIf(ok && !at.IsZero())
		runs = append(runs, r)
	}
	for i := range f.nodes {
		if f.nodes[i].Admitted() {
			continue
		}
		if clean, at := f.firstFailure(i, began, until); clean {
			controls++
			controlsFailed += oneIf(!at.IsZero())
		}
	}
	slices.SortFunc(runs, func(a, b first) int { return a.at.Compare(b.at) })
	if p, _, err := stats.HypergeometricUpper(int64(failed), int64(failed+controlsFailed), int64(clean), int64(clean+controls)); err == nil && failed > 1 && p <= alpha {
		out[fisherRule] = len(canaries)
	}
	out[stageSPRT], out[wholeSPRT] = oracle.stop(runs)
	bad, need := 0, max(5, int(.004*float64(len(canaries))+.5))
	share := float64(controlsFailed) / float64(max(1, controls))
	for k, r := range runs {
		if bad += oneIf(r.failed); r.failed && bad >= need && out[thresholdRule] == 0 {
			out[thresholdRule] = k + 1
		}
	}
	for look := 1; look <= 10 && out[kayentaRule] == 0; look++ {
		n, bad := len(runs)*look/10, 0
		for _, r := range runs[:n] {
			bad += oneIf(r.failed)
		}
		m := controls * look / 10
		if bad > 0 && bad < n && high(bad, n, min(m, int(share*float64(m)+.5)), m) {
			out[kayentaRule] = n
		}
	}
	return out
}

// firstFailure of a node since the stage began, if it was clean in the day before.
func (f *fleet) firstFailure(i int, began, until time.Time) (clean bool, at time.Time) {
	for _, r := range f.kept[i] {
		switch {
		case r.Status != "failed" || r.Start.Before(began.Add(-past)) || !r.Start.Before(until):
		case r.Start.Before(began):
			return false, time.Time{}
		case at.IsZero():
			at = r.Start
		}
	}
	return true, at
}

// sprt is Wald's test of first runs that knows how often they fail with and without the change.
type sprt struct {
	base, extra  float64
	alpha, whole float64
	sum          float64 // of the logarithms, over all stages
}

func (s *sprt) stop(runs []first) (stage, whole int) {
	after := s.base + s.extra
	hit, miss, sum := math.Log(after/s.base), math.Log1p(-after)-math.Log1p(-s.base), 0.0
	for k, r := range runs {
		if !r.clean {
			continue
		}
		x := miss
		if r.failed {
			x = hit
		}
		sum += x
		s.sum += x
		if stage == 0 && sum >= -math.Log(s.alpha) {
			stage = k + 1
		}
		if whole == 0 && s.sum >= -math.Log(s.whole) {
			whole = k + 1
		}
	}
	return stage, whole
}

func high(bad1, n1, bad0, n0 int) bool {
	var x, y kayenta.Arm
	for _, arm := range []struct {
		to     *kayenta.Arm
		bad, n int
	}{{&x, bad1, n1}, {&y, bad0, n0}} {
		arm.to.Add(0, float64(arm.n-arm.bad))
		if arm.bad > 0 {
			arm.to.Add(1, float64(arm.bad))
		}
	}
	return kayenta.ClassifyCounts(kayenta.Judge(kayenta.Increase), x, y).Label == kayenta.High
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
