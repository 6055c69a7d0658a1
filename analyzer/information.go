package analyzer

import "time"

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
	planned := 0
	for _, a := range f.starts {
		planned += a.nodes
	}
	planned = max(planned, c.evidence.Planned)
	again := float64(time.Duration(c.policy.Silence.Interval).Milliseconds())
	first := float64(time.Duration(c.policy.Silence.Interval + c.policy.Silence.Splay).Milliseconds())
	began, bake := c.evidence.StageStarted.UnixMilli(), float64(c.evidence.Bake.Milliseconds())
	return func(ms int64) float64 {
		if planned == 0 {
			return 0
		}
		due := 0.0
		for _, a := range f.starts {
			since := float64(ms - a.at.UnixMilli())
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
