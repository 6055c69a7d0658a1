package sli

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func series(value float64, labels ...string) *model.Sample {
	m := model.Metric{}
	for i := 0; i < len(labels); i += 2 {
		m[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
	}
	return &model.Sample{Metric: m, Value: model.SampleValue(value)}
}

func TestFoldKeepsWhatIsUsable(t *testing.T) {
	quarter, half := 0.25, 0.5
	tests := []struct {
		name   string
		q      Query
		result model.Value
		want   Sample
	}{
		{"ports are stripped", Query{}, model.Vector{
			series(1, "instance", "web1:9100"), series(2, "instance", "web2")},
			Sample{Values: map[string]float64{"web1": 1, "web2": 2}}},
		{"ipv6", Query{}, model.Vector{
			series(1, "instance", "[2001:db8::1]:9100"), series(2, "instance", "2001:db8::2")},
			Sample{Values: map[string]float64{"2001:db8::1": 1, "2001:db8::2": 2}}},
		{"urls, empty values and other labels map to no node", Query{}, model.Vector{
			series(1, "instance", "https://shop/"), series(2, "instance", ""), series(3, "job", "x"),
			series(4, "instance", "web1:http"), series(5, "instance", "web1:9100"), series(6, "instance", "web1/cart"), series(7, "instance", "web1/cart:80")},
			Sample{Values: map[string]float64{"web1": 5}, Skipped: 6}},
		{"a rule with group 1 matches whole values", Query{Label: "host", Node: regexp.MustCompile(`(web\d)\.lan`)}, model.Vector{
			series(1, "host", "web1.lan"), series(2, "host", "web2.lan.evil"), series(3, "host", "xweb3.lan")},
			Sample{Values: map[string]float64{"web1": 1}, Skipped: 2}},
		{"the group called node wins", Query{Node: regexp.MustCompile(`(\w+)/(?P<node>\w+)`)}, model.Vector{
			series(1, "instance", "fra1/web1")}, Sample{Values: map[string]float64{"web1": 1}}},
		{"an alternative that is a prefix does not win", Query{Node: regexp.MustCompile(`web|web1`)}, model.Vector{
			series(1, "instance", "web1")}, Sample{Values: map[string]float64{"web1": 1}}},
		{"values that are not finite are dropped and counted", Query{}, model.Vector{
			series(math.NaN(), "instance", "a"), series(math.Inf(1), "instance", "b"),
			series(math.Inf(-1), "instance", "c"), series(0, "instance", "d")},
			Sample{Values: map[string]float64{"d": 0}, NotFinite: 3}},
		{"a scalar is an aggregate", Query{}, &model.Scalar{Value: 0.25}, Sample{Values: map[string]float64{}, Aggregate: &quarter}},
		{"a series without labels is an aggregate", Query{}, model.Vector{series(0.5)},
			Sample{Values: map[string]float64{}, Aggregate: &half}},
		{"so is a recorded one", Query{}, model.Vector{series(0.5, "__name__", "job:errors:ratio")},
			Sample{Values: map[string]float64{}, Aggregate: &half}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.Name, tt.want.Name, tt.want.At = "errors", "errors", at
			got, err := fold(tt.q, at, tt.result)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sample (-want +got):\n%s", diff)
			}
		})
	}
}

// An answer that leaves nothing is never a sample, whatever made it empty.
func TestFoldNoData(t *testing.T) {
	for name, result := range map[string]model.Value{
		"empty vector":          model.Vector{},
		"nil vector":            model.Vector(nil),
		"scalar NaN":            &model.Scalar{Value: model.SampleValue(math.NaN())},
		"aggregate NaN":         model.Vector{series(math.NaN())},
		"only NaN":              model.Vector{series(math.NaN(), "instance", "a")},
		"only unmapped":         model.Vector{series(1, "instance", "http://a/")},
		"label is not there":    model.Vector{series(1, "node", "a")},
		"aggregate is infinite": model.Vector{series(math.Inf(1))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fold(Query{Name: "errors"}, at, result)
			if !errors.Is(err, ErrNoData) {
				t.Fatalf("got %v, want ErrNoData", err)
			}
			if len(got.Values) != 0 || got.Aggregate != nil {
				t.Errorf("got values %v, %v with ErrNoData", got.Values, got.Aggregate)
			}
		})
	}
}

func TestFoldRefuses(t *testing.T) {
	tests := []struct {
		name   string
		result model.Value
		want   []string // parts of the message
	}{
		{"two series of one node", model.Vector{
			series(1, "instance", "web1:9100", "job", "node"), series(2, "instance", "web1:9256", "job", "process")},
			[]string{`node "web1"`, `job="node"`, `job="process"`, "max by (instance)"}},
		{"a duplicate that is NaN", model.Vector{
			series(1, "instance", "web1:9100"), series(math.NaN(), "instance", "web1:9256")}, []string{`node "web1"`}},
		{"nodes mixed with an aggregate", model.Vector{series(1, "instance", "web1"), series(0)}, []string{"or vector("}},
		{"two aggregates", model.Vector{series(1, "__name__", "a"), series(0, "__name__", "b")}, []string{"no labels"}},
		{"a native histogram", model.Vector{{Metric: model.Metric{"instance": "web1"}, Histogram: &model.SampleHistogram{}}},
			[]string{"native histogram", "histogram_quantile"}},
		{"a matrix", model.Matrix{}, []string{"got a matrix"}},
		{"a string", &model.String{Value: "1"}, []string{"got a string"}},
		{"nothing", nil, []string{"got nothing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := fold(Query{Name: "errors"}, at, tt.result)
			if err == nil || errors.Is(err, ErrNoData) {
				t.Fatalf("got %v, want a refusal", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if diff := cmp.Diff(Sample{}, got); diff != "" {
				t.Errorf("sample with an error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueryValidate(t *testing.T) {
	bad := map[string]Query{
		"name":           {PromQL: "up"},
		"expected an ex": {Name: "x", PromQL: " "},
		"promql: ":       {Name: "x", PromQL: "sum(rate(x[5m])"},
		"got a matrix":   {Name: "x", PromQL: "x[5m]"},
		"got a string":   {Name: "x", PromQL: `"x"`},
		"label: ":        {Name: "x", PromQL: "up", Label: "\xff"},
	}
	for want, q := range bad {
		if err := q.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want an error with %q", q, err, want)
		}
	}
	for _, promql := range []string{"up", "1 - 0.5", "sum by (instance) (rate(x[5m]))", "vector(1)", `{"a.b"}`} {
		if err := (Query{Name: "x", PromQL: promql}).Validate(); err != nil {
			t.Errorf("%s: %v", promql, err)
		}
	}
}

// Whatever a label holds, the default rule yields a non-empty name that is a
// part of it, without a slash.
func FuzzStripPort(f *testing.F) {
	for _, s := range []string{"web1:9100", "web1", "[::1]:1", "::1", "https://x/", ":9100", "a:b:c", "[x", "[[x]]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		node, ok := stripPort(value)
		if ok && (node == "" || strings.Contains(node, "/") || !strings.Contains(value, node)) {
			t.Errorf("stripPort(%q) = %q", value, node)
		}
		if !ok && node != "" && !strings.ContainsAny(value, "[]") {
			t.Errorf("stripPort(%q) = %q, false", value, node)
		}
	})
}

// A rule maps a value only if it matches all of it.
func FuzzNodeOf(f *testing.F) {
	f.Add(`web|web1`, "web1")
	f.Add(`(?P<node>.*)\.lan`, "web1.lan")
	f.Add(`(?i)a(b)?`, "A")
	f.Fuzz(func(t *testing.T, expr, value string) {
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		whole, err := anchor(re)
		if err != nil {
			return // a rule at the limit of regexp's size
		}
		node, ok := nodeOf(whole, value)
		if ok && !strings.Contains(value, node) {
			t.Errorf("nodeOf(%q, %q) = %q", expr, value, node)
		}
		if ok && !re.MatchString(value) {
			t.Errorf("nodeOf(%q, %q) = %q, but the rule does not match at all", expr, value, node)
		}
	})
}
