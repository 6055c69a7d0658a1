package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Percent is a share in parts per billion, from 0 to Hundred. Its text form is
// a decimal with a percent sign ("5%", "0.0001%"), and holds it exactly.
type Percent uint64

// Hundred is 100%: everyone.
const Hundred Percent = 1_000_000_000

// percentDigits is how many decimals a percentage has at one part per billion.
const percentDigits = 7

// ParsePercent reads "0%" to "100%" with up to 7 decimals. Signs, exponents,
// blanks and a missing percent sign are errors: a bare 5 could be nodes.
func ParsePercent(text string) (Percent, error) {
	number, ok := strings.CutSuffix(text, "%")
	if !ok {
		return 0, fmt.Errorf("expected a percentage such as 5%% or 0.01%%, got %q", text)
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	if !digits(whole) || len(whole) > 3 || dotted && !digits(fraction) {
		return 0, fmt.Errorf("expected a percentage from 0%% to 100%%, got %q", text)
	}
	if len(fraction) > percentDigits {
		return 0, fmt.Errorf("expected at most %d decimals in a percentage, the smallest is %s, got %q", percentDigits, Percent(1), text)
	}
	padded := whole + fraction + strings.Repeat("0", percentDigits-len(fraction))
	value, err := strconv.ParseUint(padded, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expected a percentage from 0%% to 100%%, got %q: %w", text, err)
	}
	if Percent(value) > Hundred {
		return 0, fmt.Errorf("expected a percentage from 0%% to 100%%, got %q", text)
	}
	return Percent(value), nil
}

// String returns the shortest text that ParsePercent reads as the same value.
func (p Percent) String() string {
	const one = uint64(Hundred) / 100
	text := strconv.FormatUint(uint64(p)/one, 10)
	if rest := uint64(p) % one; rest > 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%0*d", percentDigits, rest), "0")
	}
	return text + "%"
}

// Of returns the share of n things, rounded up, so that a share above zero of
// something is never nothing. It is at most n, and 0 when n is not positive.
func (p Percent) Of(n int) int {
	if n <= 0 {
		return 0
	}
	if p >= Hundred {
		return n
	}
	high, low := bits.Mul64(uint64(n), uint64(p))
	share, rest := bits.Div64(high, low, uint64(Hundred))
	if rest > 0 {
		share++
	}
	return int(share)
}

// MarshalText writes the form that String returns.
func (p Percent) MarshalText() ([]byte, error) {
	if p > Hundred {
		return nil, fmt.Errorf("percentage of %d parts per billion is over 100%%", uint64(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what ParsePercent does.
func (p *Percent) UnmarshalText(text []byte) error {
	parsed, err := ParsePercent(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
