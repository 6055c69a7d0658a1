package words

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAge(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "59s": 59 * time.Second, "1m": time.Minute, "9m59s": 599 * time.Second, "10m": 601 * time.Second,
		"59m": time.Hour - time.Second, "1h": time.Hour, "23h59m": 24*time.Hour - time.Second, "1d": 24 * time.Hour, "9d23h": 239 * time.Hour, "30d": 725 * time.Hour,
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for want, n := range map[string]int{"0": 0, "9999": 9999, "10 000": 10_000, "402 113": 402_113, "1 000 000": 1_000_000} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestDistance: a metric, and 1 for one change.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab]{0,6}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if distance(a, b) != distance(b, a) || (distance(a, b) == 0) != (a == b) || distance(a, c) > distance(a, b)+distance(b, c) {
			t.Fatalf("%q %q %q: %d %d %d", a, b, c, distance(a, b), distance(b, c), distance(a, c))
		}
		if d := distance(a, a+"b"); d != 1 {
			t.Fatalf("%q with one more letter is %d away", a, d)
		}
	})
}
