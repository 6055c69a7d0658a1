package analyzer

import (
	"sort"
	"time"
)

// info gives the information fraction of this stage at a time, in 0..1: the share of its planned first exposures that are
// due by then, and for a fifth of the whole the share of the bake. It depends on no report, so no event can bend it.
//
//	t(τ) = .8·Σ min(1, max(0, (τ−a)/R))/planned + .2·(bake elapsed)/(bake planned)      a: admissions, R: run interval + splay
func (c *cohorts) info() func(ms int64) float64 { return c.progress(false) }

// valueInfo is info for values that come with a node's second run: half of what the first exposures stand for is that of second
// runs. Else nearly all of the level would be spent before most of the values are there.
func (c *cohorts) valueInfo() func(ms int64) float64 { return c.progress(true) }

func (c *cohorts) progress(second bool) func(ms int64) float64 {
	f := &c.frame
	upTo := make([]int, len(f.starts)+1) // nodes of the first so many admissions
	for i, a := range f.starts {
		upTo[i+1] = upTo[i] + a.nodes
	}
	planned := max(upTo[len(f.starts)], c.evidence.Planned)
	again := float64(time.Duration(c.policy.Silence.Interval).Milliseconds())
	first := float64(time.Duration(c.policy.Silence.Interval + c.policy.Silence.Splay).Milliseconds())
	whole := first // after which an admission counts in full
	if second {
		whole = max(first, 2*again)
	}
	began, bake := c.evidence.StageStarted.UnixMilli(), float64(c.evidence.Bake.Milliseconds())
	return func(ms int64) float64 {
		if planned == 0 {
			return 0
		}
		// A ramp has thousands of admissions and each event asks: those that are due in full are added up once. They are whole
		// numbers, so the sum is the same to the last digit.
		full := sort.Search(len(f.starts), func(i int) bool { return float64(ms-f.starts[i].at.UnixMilli()) < whole })
		due := float64(upTo[full])
		for _, a := range f.starts[full:] {
			since := float64(ms - a.at.UnixMilli())
			if since <= 0 {
				break
			}
			share := within(since / first)
			if second {
				share = (share + within((since-again)/again)) / 2
			}
			due += float64(float64(a.nodes) * share)
		}
		due /= float64(planned)
		if bake <= 0 {
			return within(due)
		}
		return within(float64(.8*due) + float64(.2*within(float64(ms-began)/bake)))
	}
}

func within(x float64) float64 { return min(max(x, 0), 1) }
