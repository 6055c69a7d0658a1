package main

import (
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// plotTo draws how CPU time and memory grow with the fleet, both axes logarithmic.
func plotTo(path string, rows []row) error {
	p := plot.New()
	p.Title.Text = "sluiced, steady state with one rollout"
	p.X.Label.Text, p.Y.Label.Text = "nodes", "CPU: % of a core; memory: MiB; a look: ms"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = whole{}, whole{}
	p.Legend.Left, p.Legend.Top = true, true
	line := func(value func(row) float64) plotter.XYs {
		xys := make(plotter.XYs, len(rows))
		for i, r := range rows {
			xys[i] = plotter.XY{X: float64(r.nodes), Y: max(value(r), .01)} // nothing has no logarithm
		}
		return xys
	}
	if err := plotutil.AddLinePoints(p,
		"CPU, % of a core", line(func(r row) float64 { return r.steady }),
		"resident, MiB", line(func(r row) float64 { return float64(r.resident) }),
		"a look, ms", line(func(r row) float64 { return float64(r.look.Microseconds()) / 1000 }),
	); err != nil {
		return err
	}
	p.X.Max *= 1.4 // room for the last label
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, path)
}

// whole are logarithmic ticks with labels such as 100 k.
type whole struct{ plot.LogTicks }

// Ticks implements plot.Ticker.
func (w whole) Ticks(low, high float64) []plot.Tick {
	ticks := w.LogTicks.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = short(ticks[i].Value)
		}
	}
	return ticks
}

func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', -1, 64) + " M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'f', -1, 64) + " k"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
