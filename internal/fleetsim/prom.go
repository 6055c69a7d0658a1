package fleetsim

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// The part of Prometheus' query API that SLI checks use: an instant query of one selector, or of avg, sum, min or max of
// one. Every node has one value of every metric of the scenario.

// sample is one element of a vector.
type sample struct {
	labels map[string]string
	value  float64
}

func (s *Sim) promQuery(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		promError(w, "bad_data", err.Error())
		return
	}
	at := float64(time.Now().UnixMilli()) / 1000
	if t := r.Form.Get("time"); t != "" {
		if v, err := strconv.ParseFloat(t, 64); err == nil {
			at = v
		} else if v, err := time.Parse(time.RFC3339, t); err == nil {
			at = float64(v.UnixMilli()) / 1000
		} else {
			promError(w, "bad_data", fmt.Sprintf("invalid parameter \"time\": cannot parse %q to a valid timestamp", t))
			return
		}
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Form.Get("query"))
	if err != nil {
		promError(w, "bad_data", "invalid parameter \"query\": "+err.Error())
		return
	}
	kind, result, err := s.evaluate(expr)
	if err != nil {
		promError(w, "execution", err.Error())
		return
	}
	var data any
	if kind == "scalar" {
		data = []any{at, number(result[0].value)}
	} else {
		list := make([]any, 0, len(result))
		for _, x := range result {
			list = append(list, map[string]any{"metric": x.labels, "value": []any{at, number(x.value)}})
		}
		data = list
	}
	promWrite(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": data}})
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func promWrite(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no fault of ours
}

func promError(w http.ResponseWriter, kind, text string) {
	code := http.StatusBadRequest
	if kind == "execution" {
		code = http.StatusUnprocessableEntity
	}
	promWrite(w, code, map[string]string{"status": "error", "errorType": kind, "error": text})
}

func (s *Sim) evaluate(e parser.Expr) (kind string, out []sample, err error) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return s.evaluate(e.Expr)
	case *parser.NumberLiteral:
		return "scalar", []sample{{value: e.Val}}, nil
	case *parser.VectorSelector:
		return "vector", s.vector(e.LabelMatchers), nil
	case *parser.AggregateExpr:
		_, in, err := s.evaluate(e.Expr)
		if err != nil || len(e.Grouping) > 0 || e.Without {
			return "", nil, fmt.Errorf("a simulated fleet aggregates one selector without by and without: %w", orNotSupported(err))
		}
		return aggregate(e.Op, in)
	}
	return "", nil, fmt.Errorf("a simulated fleet answers a selector, or avg, sum, min or max of one, not %s", e)
}

func orNotSupported(err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("not supported")
}

func aggregate(op parser.ItemType, in []sample) (string, []sample, error) {
	if len(in) == 0 {
		return "vector", nil, nil
	}
	v := in[0].value
	for _, x := range in[1:] {
		switch op {
		case parser.SUM, parser.AVG:
			v += x.value
		case parser.MIN:
			v = min(v, x.value)
		case parser.MAX:
			v = max(v, x.value)
		default:
			return "", nil, fmt.Errorf("a simulated fleet knows no %s", op)
		}
	}
	if op == parser.AVG {
		v /= float64(len(in))
	}
	return "vector", []sample{{labels: map[string]string{}, value: v}}, nil
}

func (s *Sim) vector(matchers []*labels.Matcher) (out []sample) {
	for name, m := range s.fleet.sc.Metrics {
		label := m.Label
		if label == "" {
			label = "instance"
		}
		for i := range s.nodes {
			last, now := s.snapshot(i)
			if !s.here(i, now) {
				continue
			}
			w := s.fleet.nodes[i]
			l := map[string]string{"__name__": name, label: s.fleet.certname(i), "role": s.fleet.roles[w.role], "datacenter": s.fleet.dcs[w.dc]}
			if matchesAll(matchers, l) {
				out = append(out, sample{l, s.value(name, m, i, last)})
			}
		}
	}
	return out
}

func matchesAll(matchers []*labels.Matcher, l map[string]string) bool {
	for _, m := range matchers {
		if !m.Matches(l[m.Name]) {
			return false
		}
	}
	return true
}

// value of a metric on a node: its usual one, or what a change that it has makes of it.
func (s *Sim) value(name string, m Metric, node int, last record) float64 {
	v := m.Value * math.Exp(m.Spread*gauss(s.fleet.sc.Seed, forMetric, text(name), uint64(node)))
	if c := s.changes[s.envs[last.env]]; c != nil {
		for k, e := range c.Effects {
			if e.Kind == SLI && e.Metric == name && c.hits[k](node) {
				v = e.Value
			}
		}
	}
	return v
}
