// Command speed measures the tests of analyzer/stats against scipy and R on the same
// data, one after the other in one run, and prints a table. Each gets the data in memory
// and is timed to the p-value, in CPU seconds; the middle of ten.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

const (
	each   = 500_000 // values of an arm
	bins   = 801
	rounds = 10
)

func main() {
	runtime.GOMAXPROCS(1)
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	dir, err := os.MkdirTemp("", "speed")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := draw()
	if err := d.write(dir); err != nil {
		return err
	}
	scipy, err := other("scipy", "/usr/bin/python3", "python3-scipy", scipyScript, dir)
	if err != nil {
		return err
	}
	r, err := other("R", "Rscript", "r-base-core", rScript, dir)
	if err != nil {
		return err
	}
	us, err := d.ours()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d values, CPU time of one core, the middle of %d:\n\n", 2*each, rounds)
	fmt.Fprintln(w, "| data | here, values/s | scipy | R | here / scipy | here / R | p here, scipy, R |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for i, name := range []string{"continuous", "counted, 801 bins"} {
		rate := func(t timed) float64 { return 2 * each / t.Seconds[i] }
		fmt.Fprintf(w, "| %s | %.3g | %.3g | %.3g | %.0f | %.0f | %.13g, %.13g, %.13g |\n", name, rate(us), rate(scipy), rate(r),
			rate(us)/rate(scipy), rate(us)/rate(r), us.P[i], scipy.P[i], r.P[i])
		for _, p := range []float64{scipy.P[i], r.P[i]} {
			if !(math.Abs(p-us.P[i]) <= 1e-9*us.P[i]) {
				return fmt.Errorf("%s: p is %v here and %v there", name, us.P[i], p)
			}
		}
	}
	fmt.Fprintf(w, "\nOne event and a look at it: %d ns (ECS after 300 events), %d ns (urn).\n", eventTime(), urnTime())
	return nil
}

// timed are seconds and p-values for continuous and counted data.
type timed struct {
	Seconds, P [2]float64
}

type data struct {
	x, y         []float64
	binsX, binsY []uint16
}

func draw() data {
	r := rand.New(rand.NewPCG(20261126, 1))
	var d data
	for range each {
		d.x, d.y = append(d.x, r.NormFloat64()+.005), append(d.y, r.NormFloat64())
		d.binsX = append(d.binsX, uint16(min(max(400.3+50*r.NormFloat64(), 0), bins-1)))
		d.binsY = append(d.binsY, uint16(min(max(400+50*r.NormFloat64(), 0), bins-1)))
	}
	return d
}

func (d data) write(dir string) error {
	for name, values := range map[string]any{"x": d.x, "y": d.y, "bx": d.binsX, "by": d.binsY} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := binary.Write(f, binary.LittleEndian, values); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (d data) ours() (t timed, err error) {
	opt := stats.Options{Method: stats.Asymptotic, NoShift: true}
	t.Seconds[0], err = middle(func() error {
		r, err := stats.MannWhitney(d.x, d.y, opt)
		t.P[0] = r.P
		return err
	})
	if err != nil {
		return t, err
	}
	values := make([]float64, bins)
	for i := range values {
		values[i] = float64(i)
	}
	t.Seconds[1], err = middle(func() error {
		x, y := make([]int64, bins), make([]int64, bins)
		if err := stats.CountBins(x, d.binsX); err != nil {
			return err
		}
		if err := stats.CountBins(y, d.binsY); err != nil {
			return err
		}
		r, err := stats.MannWhitneyHistogram(values, x, y, opt)
		t.P[1] = r.P
		return err
	})
	return t, err
}

// middle is CPU seconds, as with scipy and R: other programs on the machine do not count. What is short is done
// several times.
func middle(do func() error) (float64, error) {
	var took []float64
	for range rounds {
		start, n := cpu(), 0
		for cpu()-start < 50*time.Millisecond {
			if err := do(); err != nil {
				return 0, err
			}
			n++
		}
		took = append(took, (cpu()-start).Seconds()/float64(n))
	}
	slices.Sort(took)
	return took[rounds/2], nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const events = 200_000

func eventTime() int64 {
	start, err := stats.NewECS(.01)
	check(err)
	for i := range 300 {
		check(start.Event(2000, 98_000, 1, 0))
		start.Look(float64(i) / 400)
	}
	began := cpu()
	for range events {
		e := start
		check(e.Event(2000, 98_000, 1, 0))
		e.Look(.8)
	}
	return (cpu() - began).Nanoseconds() / events
}

func urnTime() int64 {
	start, err := stats.NewUrn(.01, 2000, 98_000)
	check(err)
	for i := range 300 {
		check(start.Event(1, 0))
		start.Look(float64(i) / 400)
	}
	began := cpu()
	for range events {
		u := start
		check(u.Event(1, 0))
		u.Look(.8)
	}
	return (cpu() - began).Nanoseconds() / events
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
