package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// comparison is what compare is asked for.
type comparison struct {
	control, canary, column string
	alternative, method     string
	continuity              bool
	level                   float64
}

func compareCommand() *cobra.Command {
	var out format
	var o comparison
	c := &cobra.Command{
		Use: "compare --control FILE --canary FILE", Short: "Compare two files of numbers by Mann-Whitney's test", Args: args(cobra.NoArgs),
		Long: `compare tells whether the canary's numbers tend to be larger or smaller than the control's, by how much, and how surely, with the statistics of the
judge. Every number must come from another node: repeated reports of one node are not independent.

A file has one number a line; empty lines and lines that begin with # are left out. With --column it is CSV: a name stands in the first line, a number
counts columns from 1. Anything that is not a number, NaN and empty cells included, is an error. - is standard input.`,
		Example: `  sluice compare --control before.txt --canary after.txt
  sluice compare --control control.csv --canary canary.csv --column run_time --alternative greater -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			r, err := o.run(c.InOrStdin())
			if err != nil {
				return err
			}
			if out != "text" {
				for _, w := range r.Warnings {
					fmt.Fprintln(c.ErrOrStderr(), "sluice: warning:", w)
				}
			}
			return out.write(c.OutOrStdout(), newCompareView(r), func(w io.Writer) { renderCompare(w, r) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.control, "control", "", "file with the control's numbers (required)")
	f.StringVar(&o.canary, "canary", "", "file with the canary's numbers (required)")
	f.StringVar(&o.column, "column", "", "read CSV: name or number of the column")
	f.StringVar(&o.alternative, "alternative", "two-sided", "two-sided, greater (the canary is larger) or less")
	f.StringVar(&o.method, "method", "auto", "auto, exact or asymptotic")
	f.BoolVar(&o.continuity, "continuity", false, "correct the asymptotic p for continuity")
	f.Float64Var(&o.level, "level", .95, "confidence of the shift's interval")
	out.flag(c)
	return c
}

func (o comparison) run(stdin io.Reader) (stats.Result, error) {
	opt, err := o.options()
	if err != nil {
		return stats.Result{}, err
	}
	control, err := readNumbers(stdin, o.control, o.column)
	if err != nil {
		return stats.Result{}, fmt.Errorf("compare: --control: %w", err)
	}
	canary, err := readNumbers(stdin, o.canary, o.column)
	if err != nil {
		return stats.Result{}, fmt.Errorf("compare: --canary: %w", err)
	}
	r, err := stats.MannWhitney(canary, control, opt)
	if errors.Is(err, stats.ErrTooLarge) && opt.Method == stats.Exact {
		return r, fmt.Errorf("compare: %d and %d numbers are too many for --method exact, expected auto or asymptotic", len(control), len(canary))
	}
	if err != nil {
		return r, fmt.Errorf("compare: %w", err)
	}
	return r, nil
}

func (o comparison) options() (stats.Options, error) {
	opt := stats.Options{Continuity: o.continuity, Level: o.level}
	switch {
	case o.control == "" || o.canary == "":
		return opt, usage("compare: --control and --canary are required")
	case o.control == "-" && o.canary == "-":
		return opt, usage("compare: --control and --canary cannot both be standard input")
	case !(o.level > 0 && o.level < 1):
		return opt, usage("compare: --level %v: expected a number between 0 and 1, such as 0.95", o.level)
	}
	var ok bool
	alternatives := map[string]stats.Alternative{"two-sided": stats.TwoSided, "greater": stats.Greater, "less": stats.Less}
	if opt.Alternative, ok = alternatives[o.alternative]; !ok {
		return opt, usage("compare: --alternative %q: expected two-sided, greater or less", o.alternative)
	}
	methods := map[string]stats.Method{"auto": stats.Auto, "exact": stats.Exact, "asymptotic": stats.Asymptotic}
	if opt.Method, ok = methods[o.method]; !ok {
		return opt, usage("compare: --method %q: expected auto, exact or asymptotic", o.method)
	}
	return opt, nil
}

// compareView is the output as data. Numbers that JSON cannot write, because a
// bound or the shift is infinite, are null.
type compareView struct {
	U           float64     `json:"u"`
	P           float64     `json:"p"`
	Method      string      `json:"method"`
	Alternative string      `json:"alternative"`
	A12         float64     `json:"a12"`
	CliffsDelta float64     `json:"cliffs_delta"`
	Shift       *float64    `json:"shift"`
	ShiftCI     [2]*float64 `json:"shift_ci"`
	NControl    int         `json:"n_control"`
	NCanary     int         `json:"n_canary"`
}

func newCompareView(r stats.Result) compareView {
	return compareView{U: r.U, P: r.P, Method: r.Method.String(), Alternative: r.Alternative.String(), A12: r.A12, CliffsDelta: r.CliffsDelta,
		Shift: finite(r.Shift), ShiftCI: [2]*float64{finite(r.ShiftLow), finite(r.ShiftHigh)}, NControl: r.M, NCanary: r.N}
}

func finite(f float64) *float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return &f
}

func renderCompare(w io.Writer, r stats.Result) {
	short := func(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
	fmt.Fprintf(w, "%d canary against %d control values\n", r.N, r.M)
	fmt.Fprintf(w, "Shift: %s, with %s %% confidence between %s and %s", shiftWords(r.Shift, short), short(100*r.ShiftLevel), short(r.ShiftLow), short(r.ShiftHigh))
	if r.ShiftLow <= 0 && r.ShiftHigh >= 0 {
		fmt.Fprint(w, ", so there may be none")
	}
	low, high := r.A12Interval()
	fmt.Fprintf(w, "\nOf a random canary and a random control value the canary's is the larger one in %s %% of cases, ties counted half (A12 %s, %s to %s; Cliff's delta %s, %s to %s)\n",
		short(100*r.A12), short(r.A12), short(low), short(high), short(r.CliffsDelta), short(2*low-1), short(2*high-1))
	fmt.Fprintf(w, "If both came from one distribution, %s would have probability p = %s (Mann-Whitney, %s, %s, U = %s)\n",
		asFar(r.Alternative), short(r.P), r.Alternative, r.Method, strconv.FormatFloat(r.U, 'f', -1, 64))
	for _, warning := range r.Warnings {
		fmt.Fprintln(w, "Warning:", warning)
	}
}

func shiftWords(shift float64, short func(float64) string) string {
	switch {
	case shift > 0:
		return "the canary's values are larger by about " + short(shift)
	case shift < 0:
		return "the canary's values are smaller by about " + short(-shift)
	}
	return "about 0"
}

func asFar(a stats.Alternative) string {
	switch a {
	case stats.Greater:
		return "canary values at least this large"
	case stats.Less:
		return "canary values at least this small"
	}
	return "a difference at least this large, in either direction,"
}
