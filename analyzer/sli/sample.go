package sli

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/prometheus/common/model"
)

// ErrNoData says that a query ran and left no usable value: no series, no
// series that maps to a node, or no finite number. It is never a pass.
var ErrNoData = errors.New("no data")

// Sample is the answer to one Query at one time.
type Sample struct {
	// Name is the query's name.
	Name string
	// At is the evaluation time that was asked for.
	At time.Time
	// Values holds one finite value per certname; empty for an aggregate.
	Values map[string]float64
	// Aggregate is the finite value of a scalar, or of the only series of a
	// vector when that series has no labels; nil otherwise.
	Aggregate *float64
	// Skipped counts series that map to no node.
	Skipped int
	// NotFinite counts values that were dropped because they are NaN or Inf.
	NotFinite int
	// Warnings are the server's, for example that an answer is partial.
	Warnings []string
}

// fold turns a query's result into a Sample. It returns ErrNoData, with the
// counts filled in, when nothing usable is left.
func fold(q Query, at time.Time, result model.Value) (Sample, error) {
	s := Sample{Name: q.Name, At: at, Values: map[string]float64{}}
	var err error
	switch v := result.(type) {
	case *model.Scalar:
		s.aggregate(float64(v.Value))
	case model.Vector:
		err = s.vector(q, v)
	default:
		err = fmt.Errorf("expected an instant vector or a scalar, got %s", typeName(result))
	}
	if err != nil {
		return Sample{}, err
	}
	if len(s.Values) == 0 && s.Aggregate == nil {
		return s, fmt.Errorf("%w: %d series map to no node by label %q, %d values are not finite",
			ErrNoData, s.Skipped, q.label(), s.NotFinite)
	}
	return s, nil
}

func typeName(v model.Value) string {
	if v == nil {
		return "nothing"
	}
	return "a " + v.Type().String()
}

func (s *Sample) aggregate(v float64) {
	if !finite(v) {
		s.NotFinite++
		return
	}
	s.Aggregate = &v
}

// vector adds every series. Duplicates are found before values are dropped,
// so that a node's answer does not depend on which of its series is NaN.
func (s *Sample) vector(q Query, vec model.Vector) error {
	re, err := anchor(q.Node)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	seen := make(map[string]model.Metric, len(vec))
	for _, series := range vec {
		if series.Histogram != nil {
			return fmt.Errorf("series %s is a native histogram: expected a number, for example from histogram_quantile", series.Metric)
		}
		if bare(series.Metric) {
			if len(vec) > 1 {
				return fmt.Errorf("series %s has no labels but is one of %d: expected either one aggregate or series per node (does the query end in \"or vector(…)\"?)",
					series.Metric, len(vec))
			}
			s.aggregate(float64(series.Value))
			return nil
		}
		if err := s.series(q, re, seen, series); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sample) series(q Query, re *regexp.Regexp, seen map[string]model.Metric, series *model.Sample) error {
	node, ok := nodeOf(re, string(series.Metric[model.LabelName(q.label())]))
	if !ok {
		s.Skipped++
		return nil
	}
	if first, dup := seen[node]; dup {
		return fmt.Errorf("node %q has several series, %s and %s: expected one (aggregate, for example \"max by (%s) (…)\")",
			node, first, series.Metric, q.label())
	}
	seen[node] = series.Metric
	if v := float64(series.Value); finite(v) {
		s.Values[node] = v
	} else {
		s.NotFinite++
	}
	return nil
}

// bare reports whether a series has no label but its name, as sum(x) and
// recorded aggregates have.
func bare(m model.Metric) bool {
	_, named := m[model.MetricNameLabel]
	return len(m) == 0 || (named && len(m) == 1)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
