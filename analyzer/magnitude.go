package analyzer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// MagnitudeLook is a planned look at a magnitude. The looks of a stage are kept, because the boundary of each rests on
// those before it.
type MagnitudeLook struct {
	Check string `json:"check"`
	Stage int    `json:"stage"`
	// T is the information fraction of the plan, Information that of the data (Σ nm/(N+1)), Z the statistic, Boundary what it
	// was held against, Shift the estimated shift: a share of the run time, or in an SLI's own unit.
	T           float64 `json:"t"`
	Information float64 `json:"information"`
	Z           float64 `json:"z"`
	Boundary    float64 `json:"boundary"`
	Shift       float64 `json:"shift"`
}

const (
	lookStep   = .1  // of the information fraction between two looks
	lookGrowth = .02 // of the information; less is no new look
	// leastValues is how many canaries and controls must have a value.
	leastValues = 20
)

// normalLooks sorts a copy.
func normalLooks(in []MagnitudeLook) []MagnitudeLook {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b MagnitudeLook) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), strings.Compare(a.Check, b.Check), cmp.Compare(a.Information, b.Information), cmp.Compare(a.Z, b.Z))
	})
	return out
}

// The magnitudes that are compared with each node's own past.
const (
	runTime = iota
	retrieval
	magnitudes
)

// Magnitude says whether a check compares lengths of time, and no events.
func Magnitude(check string) bool { return slices.Contains(magnitudeNames[:], check) }

var (
	magnitudeNames = [magnitudes]string{"run_time", "config_retrieval"}
	magnitudeWords = [magnitudes]struct{ worse, what string }{{"runs got slower", "run time"}, {"catalogs took longer to come", "time until the catalog came"}}
)

const notMeasured = "not measured: it is in the metrics of reports, and none were read"

// magnitudeCheck compares a magnitude with each node's own past, stratum by stratum (van Elteren), with group-sequential
// boundaries. It may be asked at any time; a new look is taken only when the plan has come a step further.
func (c *cohorts) magnitudeCheck(i int) (Check, *crossing, []MagnitudeLook) {
	name, words := magnitudeNames[i], magnitudeWords[i]
	check := Check{Name: name, Optional: true, P: 1, RulesOut: 1, Method: "van Elteren against the node's own past"}
	strata, canary, control, measured := c.valuesByStratum(i)
	check.Canary, check.CanaryTotal, check.Control, check.ControlTotal = canary, c.tally.stage.exposed, control, c.tally.counts.Control
	own := c.looksAt(name)
	if i == retrieval {
		if check.ControlTotal, check.CanaryTotal = measured[0], measured[1]; measured == [2]int{} {
			check.Reason = notMeasured
			return check, nil, own
		}
	}
	if canary < leastValues || control < leastValues {
		check.Reason = fmt.Sprintf("%s and %s a run to compare with their own past, %d of each are needed", count(canary, "admitted node"), have(control, "control"), leastValues)
		return check, nil, own
	}
	now, err := upperTest(strata)
	if err != nil {
		check.Reason, check.Optional = "the comparison failed: "+err.Error(), false // an error holds, unlike a lack of data
		return check, nil, own
	}
	shift := math.Expm1(shiftOf(strata) * binWidth)
	check.Effect, check.P = shift, now.P
	check.Low, check.High = c.shiftLimits(strata)
	t := c.valueInfo()(c.evidence.Now.UnixMilli())
	own, err = c.look(own, MagnitudeLook{Check: name, Stage: c.evidence.StageIndex, T: t, Information: now.Information, Z: now.Z, Shift: shift}, c.level(name, float64(c.policy.Alpha*magnitudeShares[i])))
	if err != nil {
		check.Reason, check.Optional = "the comparison failed: "+err.Error(), false // an error holds, unlike a lack of data
		return check, nil, own
	}
	figures := fmt.Sprintf("%+.2g %% %s on %s (%.2g to %.2g)", 100*shift, words.what, count(canary, "node"), 100*check.Low, 100*check.High)
	for _, l := range own {
		if l.Z >= l.Boundary && l.Shift > c.policy.Checks.magnitude(i).Tolerate {
			check.Result, check.Reason = Fail, fmt.Sprintf("%s: %+.2g %%, z = %.3g at the look at %.0f %% of the stage, the boundary was %.3g; now %s", words.worse, 100*l.Shift, l.Z, 100*l.T, l.Boundary, figures)
			return check, &crossing{check: name, reason: check.Reason}, own
		}
	}
	check.Result, check.Reason = Pass, "not slower than tolerated: "+figures
	return check, nil, own
}

// upperTest tests whether canaries are slower. The exact distribution of a few hundred nodes takes a hundred times as long as the
// normal one, and no bound rests on it: it is for those who read a p that is small.
func upperTest(strata []stats.Stratum) (stats.StratifiedResult, error) {
	r, err := stats.VanElteren(strata, stats.Options{Alternative: stats.Greater, Method: stats.Asymptotic})
	if err != nil || r.P > exactBelow {
		return r, err
	}
	return stats.VanElteren(strata, stats.Options{Alternative: stats.Greater})
}

// exactBelow is the p from which on it is worth to be exact.
const exactBelow = .01

// looksAt are the looks at a check in this stage so far.
func (c *cohorts) looksAt(check string) (own []MagnitudeLook) {
	for _, l := range c.evidence.Looks {
		if l.Stage == c.evidence.StageIndex && l.Check == check {
			own = append(own, l)
		}
	}
	return own
}

// look takes a planned look if it is due, and sets its boundary by Lan and DeMets' spending of the stage's level.
func (c *cohorts) look(own []MagnitudeLook, next MagnitudeLook, alpha float64) ([]MagnitudeLook, error) {
	var b stats.Boundaries
	last := MagnitudeLook{}
	for _, l := range own {
		if _, err := b.Next(l.Information, stats.LDOF(alpha, l.T)); err != nil {
			return own, err
		}
		last = l
	}
	whole := c.info()(math.MaxInt64) // less than 1 where fewer nodes were admitted than planned
	due := next.T >= last.T+lookStep || next.T >= whole && last.T < whole
	if !due || next.Information < last.Information*(1+lookGrowth) {
		return own, nil
	}
	boundary, err := b.Next(next.Information, stats.LDOF(alpha, next.T))
	if err != nil {
		return own, err
	}
	next.Boundary = bounded(boundary)
	return append(slices.Clone(own), next), nil
}

func (c *cohorts) valuesByStratum(i int) (out []stats.Stratum, canary, control int, measured [2]int) {
	for _, s := range c.frame.sorted() {
		measured[0], measured[1] = measured[0]+s.measured[0], measured[1]+s.measured[1]
		values := &s.values[i]
		if values[0] == nil || values[1] == nil {
			continue
		}
		var st stats.Stratum
		for bin := range values[0] {
			if a, b := values[1][bin], values[0][bin]; a+b > 0 {
				st.Values = append(st.Values, float64(bin-mostBins))
				st.Canary, st.Control = append(st.Canary, a), append(st.Control, b)
				canary, control = canary+int(a), control+int(b)
			}
		}
		out = append(out, st)
	}
	return out, canary, control, measured
}

// shiftOf is the Hodges-Lehmann shift in bins: by how much the canaries must be moved back for the statistic to vanish.
func shiftOf(strata []stats.Stratum) float64 { return crossingOf(strata, 0) }

// shiftLimits are the limits of the shift, each at half the error, as ratios.
func (c *cohorts) shiftLimits(strata []stats.Stratum) (low, high float64) {
	const z = 1.959963984540054
	return shiftBelow(strata, -z), shiftBelow(strata, z)
}

// shiftBelow is the ratio up to which the shift may be, z standard errors above what was seen.
func shiftBelow(strata []stats.Stratum, z float64) float64 {
	return math.Expm1(crossingOf(strata, -z) * binWidth)
}

// crossingOf finds by bisection the shift, to half a bin, at which z of the moved canaries falls to a level.
func crossingOf(strata []stats.Stratum, level float64) float64 {
	at := func(half int) float64 { // z after a move by half bins
		r, err := stats.VanElteren(moved(strata, float64(half)/2), stats.Options{Alternative: stats.Greater, Method: stats.Asymptotic})
		if err != nil {
			return 0
		}
		return r.Z
	}
	low, high := -4*mostBins, 4*mostBins // z falls from low to high
	for high-low > 1 {
		if mid := low + (high-low)/2; at(mid) > level {
			low = mid
		} else {
			high = mid
		}
	}
	return float64(low+high) / 4
}

// moved shifts the canaries back.
func moved(strata []stats.Stratum, by float64) []stats.Stratum {
	out := make([]stats.Stratum, len(strata))
	for i, s := range strata {
		var m stats.Stratum
		add := func(v float64, canary, control int64) {
			if canary+control == 0 {
				return
			}
			if n := len(m.Values); n > 0 && m.Values[n-1] == v {
				m.Canary[n-1] += canary
				m.Control[n-1] += control
				return
			}
			m.Values, m.Canary, m.Control = append(m.Values, v), append(m.Canary, canary), append(m.Control, control)
		}
		a, b := 0, 0
		for a < len(s.Values) || b < len(s.Values) {
			if b == len(s.Values) || a < len(s.Values) && s.Values[a]-by <= s.Values[b] {
				add(s.Values[a]-by, s.Canary[a], 0)
				a++
			} else {
				add(s.Values[b], 0, s.Control[b])
				b++
			}
		}
		out[i] = m
	}
	return out
}
