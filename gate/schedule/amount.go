package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is a number of nodes, a share of them, or the larger of the two. Its
// text forms are "10", "2%" and "max(10, 2%)".
type Amount struct {
	Nodes   int
	Percent Percent
}

// ParseAmount reads the text forms of Amount.
func ParseAmount(text string) (Amount, error) {
	if inner, ok := strings.CutPrefix(text, "max("); ok {
		return parseLarger(text, inner)
	}
	if strings.HasSuffix(text, "%") {
		share, err := ParsePercent(text)
		return Amount{Percent: share}, err
	}
	nodes, err := parseNodes(text)
	if err != nil {
		return Amount{}, fmt.Errorf("expected a number of nodes such as 10, or a percentage such as 2%%, got %q", text)
	}
	return Amount{Nodes: nodes}, nil
}

func parseLarger(text, inner string) (Amount, error) {
	inner, closed := strings.CutSuffix(inner, ")")
	number, share, both := strings.Cut(inner, ",")
	if !closed || !both {
		return Amount{}, fmt.Errorf("expected max(10, 2%%), got %q", text)
	}
	nodes, err := parseNodes(strings.TrimSpace(number))
	if err != nil {
		return Amount{}, fmt.Errorf("expected max(10, 2%%), got %q", text)
	}
	percent, err := ParsePercent(strings.TrimSpace(share))
	return Amount{Nodes: nodes, Percent: percent}, err
}

// parseNodes refuses signs, which strconv.Atoi takes.
func parseNodes(text string) (int, error) {
	if !digits(text) {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}

// Of returns the larger of Nodes and the share of n, at least 0. It is not
// limited by n: an allowance of 10 is 10 also where there are only 3 nodes.
func (a Amount) Of(n int) int {
	return max(a.Nodes, a.Percent.Of(n), 0)
}

// String returns the shortest of the text forms that means the same.
func (a Amount) String() string {
	switch {
	case a.Percent == 0:
		return strconv.Itoa(a.Nodes)
	case a.Nodes == 0:
		return a.Percent.String()
	default:
		return fmt.Sprintf("max(%d, %s)", a.Nodes, a.Percent)
	}
}

// MarshalText writes the form that String returns.
func (a Amount) MarshalText() ([]byte, error) {
	if a.Nodes < 0 || a.Percent > Hundred {
		return nil, fmt.Errorf("amount of %d nodes and %d parts per billion is out of range", a.Nodes, uint64(a.Percent))
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads what ParseAmount does.
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, err := ParseAmount(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
