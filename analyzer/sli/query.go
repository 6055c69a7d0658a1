package sli

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// DefaultLabel is the label that names the node when a Query names none.
const DefaultLabel = "instance"

// Query is one indicator: what to ask, and whose value each series is.
type Query struct {
	// Name identifies the check in errors, verdicts and evidence.
	Name string
	// PromQL must evaluate to an instant vector, or to a scalar, which is an
	// aggregate. A vector should hold one series per node.
	PromQL string
	// Label is the label that names the node; empty means DefaultLabel.
	Label string
	// Node takes the certname out of the label's value: the group called
	// "node", else group 1, else the whole match. It must match the whole
	// value; Sample anchors it. Nil strips a trailing ":port".
	Node *regexp.Regexp
}

// Validate reports everything in q that cannot work, without asking the
// server. Functions and syntax that Prometheus still calls experimental are
// accepted, because only the server knows whether it enables them.
func (q Query) Validate() error {
	var errs []error
	if q.Name == "" {
		errs = append(errs, errors.New("name: expected a name, got none"))
	}
	if err := checkPromQL(q.PromQL); err != nil {
		errs = append(errs, fmt.Errorf("promql: %w", err))
	}
	if !model.UTF8Validation.IsValidLabelName(q.label()) {
		errs = append(errs, fmt.Errorf("label: expected a label name, got %q", q.label()))
	}
	if _, err := anchor(q.Node); err != nil {
		errs = append(errs, fmt.Errorf("node: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sli %q: %w", q.Name, err)
	}
	return nil
}

func (q Query) label() string {
	if q.Label == "" {
		return DefaultLabel
	}
	return q.Label
}

func checkPromQL(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("expected an expression, got none")
	}
	expr, err := parser.NewParser(parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	}).ParseExpr(text)
	if err != nil {
		return err
	}
	switch t := expr.Type(); t {
	case parser.ValueTypeVector, parser.ValueTypeScalar:
		return nil
	default:
		return fmt.Errorf("expected an instant vector or a scalar, got a %s", t)
	}
}

// anchor returns re such that it matches whole values only. Without it
// "web1" would also claim "web10"'s series.
func anchor(re *regexp.Regexp) (*regexp.Regexp, error) {
	if re == nil {
		return nil, nil
	}
	return regexp.Compile(`\A(?:` + re.String() + `)\z`)
}

// nodeOf maps a label's value to a certname; false means that the value
// belongs to no node. re is anchored, or nil for the default rule.
func nodeOf(re *regexp.Regexp, value string) (string, bool) {
	if re == nil {
		return stripPort(value)
	}
	m := re.FindStringSubmatch(value)
	if m == nil {
		return "", false
	}
	group := 0
	if len(m) > 1 {
		group = 1
	}
	if i := re.SubexpIndex("node"); i > 0 {
		group = i
	}
	return m[group], m[group] != ""
}

// stripPort takes ":9100" from "web1.example.com:9100". A value with a slash
// is a URL or a path (blackbox targets), never a host: cutting it at a colon
// would map every "https://…" to a node called "https".
func stripPort(value string) (string, bool) {
	if value == "" || strings.Contains(value, "/") {
		return "", false
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		// No port, or a bare IPv6 address: the value is the name.
		return value, !strings.ContainsAny(value, "[]")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false
	}
	return host, host != ""
}
