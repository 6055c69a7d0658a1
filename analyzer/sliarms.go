package analyzer

import (
	"cmp"
	"math"
	"slices"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// arms are the values of the nodes that can be compared: exposed canaries of this stage and controls at risk, stratum by stratum.
type arms struct {
	strata            []arm
	canary, control   []float64 // of all strata together
	exposed, controls int       // with a value or without
	every             []float64 // of exposed canaries of any stage
}

// arm is one stratum.
type arm struct {
	name            string
	canary, control []float64
}

func (c *cohorts) arms(s SLISample) arms {
	var a arms
	at := map[string]int{}
	for _, n := range c.tally.comparable {
		values, of := s.Control, &a.controls
		if n.canary {
			values, of = s.Canary, &a.exposed
		}
		v, ok := values[n.certname]
		if ok && n.canary {
			a.every = append(a.every, v)
		}
		if !n.own {
			continue
		}
		if *of++; !ok {
			continue
		}
		k, known := at[n.stratum]
		if !known {
			k = len(a.strata)
			at[n.stratum], a.strata = k, append(a.strata, arm{name: n.stratum})
		}
		if n.canary {
			a.canary, a.strata[k].canary = append(a.canary, v), append(a.strata[k].canary, v)
		} else {
			a.control, a.strata[k].control = append(a.control, v), append(a.strata[k].control, v)
		}
	}
	slices.SortFunc(a.strata, func(x, y arm) int { return cmp.Compare(x.name, y.name) })
	return a
}

// difference is what a test says of two arms. information is Σ nm/(n+m+1) over the strata that have both.
type difference struct {
	shift, low, high, p, information float64
	method                           string
	exact                            bool
}

// trusted is the p-value of the ranks where it is exact.
func (d difference) trusted() float64 {
	if d.exact {
		return d.p
	}
	return 1
}

// difference compares the arms: by Mann-Whitney's test where there is one stratum, else by van Elteren's, the shift being the mean
// of the strata's Hodges-Lehmann shifts by their information.
func (a arms) difference(direction string) (difference, error) {
	both := a.both()
	option := stats.Options{Alternative: alternative(direction)}
	if len(both) == 1 {
		w, err := stats.MannWhitney(both[0].canary, both[0].control, option)
		return difference{w.Shift, w.ShiftLow, w.ShiftHigh, w.P, both[0].information(), "mann-whitney " + w.Method.String() + " " + w.Alternative.String(), w.Method == stats.Exact}, err
	}
	d, err := a.test(option)
	if err != nil {
		return d, err
	}
	var low, high float64 // squares of the distances to the limits
	for _, s := range both {
		w, err := stats.MannWhitney(s.canary, s.control, option)
		if err != nil {
			return d, err
		}
		share := s.information() / d.information
		d.shift += share * w.Shift
		low += math.Pow(share*(w.Shift-w.ShiftLow), 2)
		high += math.Pow(share*(w.ShiftHigh-w.Shift), 2)
	}
	d.low, d.high = d.shift-math.Sqrt(low), d.shift+math.Sqrt(high)
	return d, nil
}

// test is van Elteren's, without a shift.
func (a arms) test(option stats.Options) (difference, error) {
	var strata []stats.Stratum
	for _, s := range a.strata {
		st, err := stats.NewStratum(s.canary, s.control)
		if err != nil {
			return difference{}, err
		}
		strata = append(strata, st)
	}
	w, err := stats.VanElteren(strata, option)
	return difference{p: w.P, information: w.Information, method: "van elteren " + w.Method.String() + " " + w.Alternative.String(), exact: w.Method == stats.Exact}, err
}

// both are the strata with canaries and controls. The others say nothing.
func (a arms) both() []arm {
	return slices.DeleteFunc(slices.Clone(a.strata), func(s arm) bool { return len(s.canary) == 0 || len(s.control) == 0 })
}

// compared counts the canaries that have controls in their stratum.
func (a arms) compared() (n int) {
	for _, s := range a.both() {
		n += len(s.canary)
	}
	return n
}

func (s arm) information() float64 {
	n, m := float64(len(s.canary)), float64(len(s.control))
	return n / (n + m + 1) * m
}

// smallestP is the p-value of the most extreme result, 1/ΠC(n+m,n) over the strata, twice that two-sided.
func (a arms) smallestP(direction string) float64 {
	log := 0.0
	both := a.both()
	for _, s := range both {
		n, m := float64(len(s.canary)), float64(len(s.control))
		top, _ := math.Lgamma(n + m + 1)
		left, _ := math.Lgamma(n + 1)
		right, _ := math.Lgamma(m + 1)
		log += left + right - top
	}
	if len(both) == 0 {
		return 1
	}
	p := math.Exp(log)
	if alternative(direction) == stats.TwoSided {
		p *= 2
	}
	return min(1, p)
}

// meanDifference is by how much the canaries' mean is above the controls', stratum by stratum, by their information.
func (a arms) meanDifference() float64 {
	sum, whole := 0.0, 0.0
	for _, s := range a.both() {
		sum += s.information() * (mean(s.canary) - mean(s.control))
		whole += s.information()
	}
	return sum / whole
}

// leaving gives two p-values of how often values lie on the harmful side of their stratum's common one, for canaries more often than
// for controls: with those that are the common one counted to neither side, or to the harmful one, as they are where most canaries
// left it together. Where either side is harm it is how often values are others, more or less often. All are exact.
func (a arms) leaving(direction string) (p, q float64, err error) {
	harmful := func(v, common float64) (beyond, or bool) { return v > common, v >= common }
	switch direction {
	case Decrease:
		harmful = func(v, common float64) (beyond, or bool) { return v < common, v <= common }
	case Either:
		harmful = func(v, common float64) (beyond, or bool) { return v != common, v == common }
	}
	var first, second []stats.Table
	for _, s := range a.both() {
		common := s.middle()
		count := func(values []float64) (n, m int64) {
			for _, v := range values {
				beyond, or := harmful(v, common)
				n, m = n+int64(oneIf(beyond)), m+int64(oneIf(or))
			}
			return n, m
		}
		x, x2 := count(s.canary)
		y, y2 := count(s.control)
		n, m := int64(len(s.canary)), int64(len(s.control))
		first, second = append(first, stats.Table{X: x, N: n, Y: y, M: m}), append(second, stats.Table{X: x2, N: n, Y: y2, M: m})
	}
	if p, err = stats.MantelHaenszelUpper(first); err == nil {
		q, err = stats.MantelHaenszelUpper(second)
	}
	return p, q, err
}

// mostlyTied reports whether more than half of all values are those that are common in their stratum.
func (a arms) mostlyTied() bool {
	all, count := 0, 0
	for _, s := range a.both() {
		common := s.middle()
		for _, values := range [][]float64{s.canary, s.control} {
			all += len(values)
			for _, v := range values {
				count += oneIf(v == common)
			}
		}
	}
	return 2*count > all
}

// middle is a value in the middle of all of the stratum: a majority holds it.
func (s arm) middle() float64 {
	all := slices.Concat(s.canary, s.control)
	slices.Sort(all)
	return all[len(all)/2]
}
