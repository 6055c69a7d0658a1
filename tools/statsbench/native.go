package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/tools/internal/kayenta"
)

// comparison is one metric under both rules.
type comparison struct {
	name   string
	params kayenta.Params
	theirs kayenta.Result
	ours   kayenta.Label
	result stats.Result // of the two-sided test, or that of the one direction
	n, m   int
}

// native labels a metric by the exact test at the level at which Kayenta puts the ends
// of its interval. Thresholds of the effect are the site's, so they are the same.
func native(p kayenta.Params, experiment, control []float64) (kayenta.Label, stats.Result, error) {
	if len(experiment) == 0 || len(control) == 0 {
		return kayenta.Nodata, stats.Result{P: 1}, nil
	}
	level := (1 - p.Confidence) / 2
	label, shown := kayenta.Pass, stats.Result{P: 2}
	for _, side := range []struct {
		of    stats.Alternative
		label kayenta.Label
		not   kayenta.Direction
	}{{stats.Greater, kayenta.High, kayenta.Decrease}, {stats.Less, kayenta.Low, kayenta.Increase}} {
		if p.Direction == side.not {
			continue
		}
		r, err := stats.MannWhitney(experiment, control, stats.Options{Alternative: side.of, Level: p.Confidence})
		if err != nil {
			return "", r, err
		}
		if r.P < shown.P {
			shown = r
		}
		if r.P <= level && p.Reaches(side.label, experiment, control) {
			label = side.label
		}
	}
	return label, shown, nil
}

// situations are what Kayenta's own tests do not cover: a report of a user, and data
// as a fleet makes them.
func situations() []comparison {
	long := []struct {
		name string
		x, y []float64
	}{
		{"spinnaker#6278: seven of ten at 100, control all 1", mix(7, 100, 3, 1), mix(0, 0, 10, 1)},
		{"12 failed of 2,000 canaries, 98 of 98,000 controls", mix(12, 1, 1988, 0), mix(98, 1, 97_902, 0)},
		{"3 failed of 500 canaries, 0 of 50,000 controls", mix(3, 1, 497, 0), mix(0, 0, 50_000, 0)},
		{"40 failed of 2,000 canaries, 98 of 98,000 controls", mix(40, 1, 1960, 0), mix(98, 1, 97_902, 0)},
		{"run times about 20 s, +6 %, in seconds", runTimes(1, 1.06), runTimes(2, 1)},
		{"the same in days", scaled(runTimes(1, 1.06), 1./86_400), scaled(runTimes(2, 1), 1./86_400)},
		{"1 v 1: 10 against 1", []float64{10}, []float64{1}},
	}
	var out []comparison
	for _, s := range long {
		out = append(out, compare(s.name, kayenta.Judge(kayenta.Increase), s.x, s.y))
	}
	return out
}

func mix(a int, x float64, b int, y float64) []float64 {
	return append(slices.Repeat([]float64{x}, a), slices.Repeat([]float64{y}, b)...)
}

func runTimes(seed uint64, factor float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 20))
	out := make([]float64, 400)
	for i := range out {
		out[i] = 20 * factor * math.Exp(.15*r.NormFloat64())
	}
	return out
}

func scaled(data []float64, by float64) []float64 {
	for i := range data {
		data[i] *= by
	}
	return data
}

func compare(name string, p kayenta.Params, x, y []float64) comparison {
	c := comparison{name: name, params: p, n: len(x), m: len(y)}
	c.theirs = kayenta.Classify(p, x, y, rand.New(rand.NewPCG(1, 1)))
	var err error
	c.ours, c.result, err = native(p, x, y)
	must(err)
	return c
}

// why says in one clause what makes the difference.
func (c comparison) why() string {
	i := c.theirs.Interval
	bound := c.params.Tolerance * math.Abs(i.Estimate)
	switch {
	case c.ours == kayenta.Nodata:
		return "no data is never a pass here"
	case c.theirs.Label == c.ours && i.Low > i.High:
		return "the same label by luck: the ends of its interval are noise of its root finder, in the wrong order"
	case c.theirs.Label == c.ours:
		return "–"
	case c.theirs.Label == kayenta.Failed:
		return "its code throws, and a metric in error does not count"
	case c.ours == kayenta.Pass:
		return fmt.Sprintf("too few values to know: p is above %.3g", (1-c.params.Confidence)/2)
	case i.High-i.Low < 2e-4:
		return "its root finder stops within 1e-4, whatever the unit, and the interval is no longer than that"
	case i.Low > 0 && i.Low <= bound || i.High < 0 && i.High >= -bound:
		return fmt.Sprintf("the interval is clear of 0 but not of %.3g, its tolerance times its estimate", bound)
	}
	return "its interval comes from the normal approximation and reaches 0, the exact p is small"
}

func kayentaSection(w io.Writer) {
	suite, err := kayenta.Cases()
	must(err)
	var differ []comparison
	total, same := 0, 0
	for _, k := range suite.Classifier {
		if k.Classifier != "MannWhitneyClassifier" {
			continue
		}
		total++
		c := compare(strings.TrimPrefix(strings.TrimPrefix(k.Name, "Mann-Whitney "), "Classifier Test - "), k.Params(), k.Experiment, k.Control)
		if k.Expected.ReasonNotEmpty || c.theirs.Label == k.Expected.Classification {
			same++
		}
		if c.theirs.Label != c.ours {
			differ = append(differ, c)
		}
	}
	fmt.Fprintf(w, "Comparison mode labels %d of %d cases of Kayenta's tests as they expect. The exact test at the same level calls %d of them otherwise:\n\n",
		same, total, len(differ))
	comparisons(w, differ)
	fmt.Fprint(w, "\nData that its tests do not have, with the settings of its deployed judge (an increase is bad, 98 %, tolerance .25):\n\n")
	comparisons(w, situations())
}

func comparisons(w io.Writer, all []comparison) {
	fmt.Fprintln(w, "| case | canaries v controls | Kayenta: interval, label | exact p | shift and its interval | here | why |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, c := range all {
		r, theirs := c.result, string(c.theirs.Label)
		if i := c.theirs.Interval; i != (kayenta.Interval{}) || c.theirs.Reason == "" {
			theirs = fmt.Sprintf("%.3g to %.3g, %s", i.Low, i.High, theirs)
		}
		if c.ours == kayenta.Nodata {
			fmt.Fprintf(w, "| %s | %d v %d | %s | – | – | %s | %s |\n", c.name, c.n, c.m, theirs, c.ours, c.why())
			continue
		}
		fmt.Fprintf(w, "| %s | %d v %d | %s | %.2g (%s) | %.3g (%s to %s) | %s | %s |\n", c.name, c.n, c.m, theirs,
			r.P, r.Method, r.Shift, bounded(r.ShiftLow), bounded(r.ShiftHigh), c.ours, c.why())
	}
}

func bounded(x float64) string {
	if math.IsInf(x, 0) {
		return map[bool]string{true: "∞", false: "−∞"}[x > 0]
	}
	return fmt.Sprintf("%.3g", x)
}
