// Package kayenta restates the judge of Spinnaker's Kayenta (NetflixACAJudge at
// a69573be, Apache-2.0) from a description of it, so that head-to-heads on the same
// data are fair. It passes the cases of Kayenta's own tests, but it is not
// Kayenta: nothing but the bench and tests may use it.
package kayenta

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Label is how Kayenta calls a metric.
type Label string

// The labels. Failed is a metric on which Kayenta's code throws.
const (
	Pass   Label = "Pass"
	High   Label = "High"
	Low    Label = "Low"
	Nodata Label = "Nodata"
	Failed Label = "Error"
)

// Direction is which change of a metric is bad.
type Direction string

// The directions.
const (
	Either   Direction = "Either"
	Increase Direction = "Increase"
	Decrease Direction = "Decrease"
)

// Params are the settings of one metric. [Judge] gives those of the deployed judge.
type Params struct {
	Tolerance, Confidence float64
	CLES                  bool       // effect size: A12 instead of the ratio of the means
	Allowed, Critical     [2]float64 // thresholds of the effect: decrease, increase
	Direction             Direction
	Replace               bool // NaN becomes 0 instead of being dropped
	IsCritical            bool
}

// Judge is what NetflixACAJudge passes to the classifier, whatever is configured:
// tolerance and confidence are literals there.
func Judge(d Direction) Params {
	return Params{Tolerance: .25, Confidence: .98, Allowed: [2]float64{1, 1}, Critical: [2]float64{1, 1}, Direction: d}
}

// Result of one metric.
type Result struct {
	Label    Label
	Critical bool // fails the whole canary
	Reason   string
	Interval Interval
}

// Classify judges one metric. The random numbers are used only where both arms are
// constant and differ: Kayenta adds noise there.
func Classify(p Params, experiment, control []float64, r *rand.Rand) Result {
	experiment, control = clean(experiment, p.Replace), clean(control, p.Replace)
	if len(experiment) == 0 || len(control) == 0 {
		if p.Replace {
			return Result{Label: Pass, Reason: "no data, replaced by 0"}
		}
		return Result{Label: Nodata, Critical: p.IsCritical, Reason: "no data"}
	}
	slices.Sort(experiment)
	slices.Sort(control)
	if slices.Equal(experiment, control) {
		return Result{Label: Pass, Reason: "the arms are the same"}
	}
	effect := p.effect(experiment, control)
	if constant(experiment) && constant(control) {
		if experiment[0] == control[0] {
			return Result{Label: Pass, Reason: "all values are equal"}
		}
		noise(experiment, r)
		noise(control, r)
	}
	i, ok := interval(NewArm(experiment), NewArm(control), p.Confidence)
	if !ok {
		return Result{Label: Failed, Reason: "no variance at some shift"}
	}
	res := p.label(i, effect)
	res.Interval = i
	return res
}

// ClassifyCounts is Classify on arms that are given as counts, for data with few
// distinct values. Neither arm may be empty, and one of them must vary.
func ClassifyCounts(p Params, experiment, control Arm) Result {
	i, ok := interval(experiment, control, p.Confidence)
	if !ok {
		return Result{Label: Failed, Reason: "no variance at some shift"}
	}
	effect := experiment.mean() / control.mean()
	if control.mean() == 0 || experiment.mean() == 0 {
		effect = math.NaN()
	}
	res := p.label(i, effect)
	res.Interval = i
	return res
}

// label compares the interval with a share of the estimate, which is why it acts like
// a higher critical z and not like a margin.
func (p Params) label(i Interval, effect float64) Result {
	bound := p.Tolerance * math.Abs(i.Estimate)
	up := p.Direction != Decrease && i.Low > bound
	down := p.Direction != Increase && i.High < -bound
	switch {
	case up && reaches(effect, p.Allowed[1]):
		return Result{Label: High, Critical: p.IsCritical && reaches(effect, p.Critical[1])}
	case down && reaches(-effect, -p.Allowed[0]):
		return Result{Label: Low, Critical: p.IsCritical && reaches(-effect, -p.Critical[0])}
	}
	return Result{Label: Pass}
}

// reaches skips an effect that is not known.
func reaches(effect, threshold float64) bool { return math.IsNaN(effect) || effect >= threshold }

func (p Params) effect(experiment, control []float64) float64 {
	if p.CLES {
		x, y := NewArm(experiment), NewArm(control)
		u, _ := rankSum(x, y, 0)
		return u / (x.total * y.total)
	}
	x, y := mean(experiment), mean(control)
	if x == 0 || y == 0 {
		return math.NaN()
	}
	return x / y
}

func clean(data []float64, replace bool) []float64 {
	out := make([]float64, 0, len(data))
	for _, v := range data {
		switch {
		case !math.IsNaN(v):
			out = append(out, v)
		case replace:
			out = append(out, 0)
		}
	}
	return out
}

func constant(sorted []float64) bool { return sorted[0] == sorted[len(sorted)-1] }

func mean(data []float64) float64 {
	sum := 0.0
	for _, v := range data {
		sum += v
	}
	return sum / float64(len(data))
}

// noise breaks the ties of a constant arm, but not of zeros.
func noise(data []float64, r *rand.Rand) {
	sd := math.Abs(data[0]) * 1e-5
	for i := range data {
		data[i] += sd * r.NormFloat64()
	}
	slices.Sort(data)
}

// Reaches reports whether the effect is as large as a label asks for.
func (p Params) Reaches(l Label, experiment, control []float64) bool {
	e := p.effect(slices.Sorted(slices.Values(experiment)), slices.Sorted(slices.Values(control)))
	if l == Low {
		return reaches(-e, -p.Allowed[0])
	}
	return reaches(e, p.Allowed[1])
}
