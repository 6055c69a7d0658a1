package main

import (
	"math"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// sweep are effects in points, on .1 % of 2,000 v 98,000.
var sweep = []float64{.1, .2, .3, .4, .5, .7, 1, 1.5, 2, 3, 5}

// pictures draws into a directory: power against effect, nodes exposed at detection,
// and false alarms by world.
func (b bench) pictures(dir string) error {
	power, exposed := plot.New(), plot.New()
	power.Title.Text, exposed.Title.Text = "stages stopped, 2,000 canaries v 98,000", "canaries exposed at the stop, median"
	power.Y.Label.Text, exposed.Y.Label.Text = "% of the stages", "canaries"
	exposed.Y.Scale, exposed.Y.Tick.Marker = plot.LogScale{}, plain{plot.LogTicks{}}
	lines := [2][]any{}
	rows := make([][]result, len(sweep))
	runs := b.runs / 5
	for i, points := range sweep {
		rows[i] = measure(world{strata: one(2000, 98_000, p0, p0+points/100)}, rules, runs, b.seed+5+uint64(i)<<32)
	}
	for k, rule := range rules {
		var p, e plotter.XYs
		for i, points := range sweep {
			r := rows[i][k]
			p = append(p, plotter.XY{X: points, Y: 100 * float64(r.rejected) / float64(runs)})
			if 20*r.rejected >= runs { // a median of a few says nothing
				e = append(e, plotter.XY{X: points, Y: float64(median(r.nodes))})
			}
		}
		lines[0] = append(lines[0], rule.short, p)
		lines[1] = append(lines[1], rule.short, e)
	}
	for i, p := range []*plot.Plot{power, exposed} {
		p.X.Label.Text = "points more failing canaries, on .1 %"
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plain{plot.ConstantTicks(ticks(sweep))}
		if err := plotutil.AddLinePoints(p, lines[i]...); err != nil {
			return err
		}
		p.Legend.Left = i == 1
		if err := p.Save(17*vg.Centimeter, 10*vg.Centimeter, filepath.Join(dir, []string{"statistics-power.svg", "statistics-exposed.svg"}[i])); err != nil {
			return err
		}
	}
	return b.alarms(filepath.Join(dir, "statistics-alarms.svg"))
}

// alarms are bars on a logarithmic axis; 0 is drawn as .01 %.
func (b bench) alarms(path string) error {
	p := plot.New()
	p.Title.Text = "changes that do nothing, stopped; all rules aim at 1 %"
	p.X.Label.Text = "% of the stages"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plain{plot.LogTicks{}}
	p.X.Min, p.X.Max = .01, 130
	all := worlds()
	var names []plot.Tick
	dots := make([]plotter.XYs, len(rules))
	for i, w := range all {
		names = append(names, plot.Tick{Value: float64(len(all) - i), Label: w.name + "   "})
		for k, r := range measure(w, rules, b.runs/2, b.seed+6+uint64(i)<<32) {
			if applies := rules[k].applies; applies == nil || applies(w) {
				share := 100 * float64(r.rejected) / float64(b.runs/2)
				dots[k] = append(dots[k], plotter.XY{X: max(share, .01), Y: float64(len(all)-i) + .1*float64(2-k)})
			}
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.Tick.Label.Font.Size = vg.Points(8)
	p.Y.Min, p.Y.Max = 0, float64(len(all))+3
	aim, err := plotter.NewLine(plotter.XYs{{X: 1, Y: 0}, {X: 1, Y: float64(len(all)) + .5}})
	if err != nil {
		return err
	}
	p.Add(aim)
	var points []any
	for k, rule := range rules {
		points = append(points, rule.short, dots[k])
	}
	if err := plotutil.AddScatters(p, points...); err != nil {
		return err
	}
	p.Legend.Top, p.Legend.Left = true, true
	return p.Save(24*vg.Centimeter, 15*vg.Centimeter, path)
}

func ticks(at []float64) []plot.Tick {
	out := make([]plot.Tick, len(at))
	for i, v := range at {
		out[i] = plot.Tick{Value: v, Label: "x"}
	}
	return out
}

// plain labels ticks with decimal numbers.
type plain struct{ plot.Ticker }

// Ticks implements plot.Ticker.
func (t plain) Ticks(low, high float64) []plot.Tick {
	out := t.Ticker.Ticks(low, high)
	for i := range out {
		if out[i].Label != "" {
			out[i].Label = strconv.FormatFloat(math.Round(1e6*out[i].Value)/1e6, 'f', -1, 64)
		}
	}
	return out
}
