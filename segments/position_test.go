package segments

import (
	"testing"

	"pgregory.net/rapid"
)

// Golden values: the hash may never change unseen, since every node's place in every rollout would.
// printf '%s' 'ntp/web1.example.com' | sha256sum | cut -c1-16
func TestPositionGolden(t *testing.T) {
	for _, c := range []struct{ salt, certname, want string }{
		{"ntp", "web1.example.com", "78af8a5e6e8e0d93"},
		{"", "", "8a5edab282632443"},
	} {
		if got := Position(c.salt, c.certname); got != c.want {
			t.Errorf("Position(%q, %q) = %s, want %s", c.salt, c.certname, got, c.want)
		}
	}
}

func TestThresholdEnds(t *testing.T) {
	lowest, highest := "0000000000000000", "ffffffffffffffff"
	for _, c := range []struct {
		name string
		t    Threshold
		u    string
		want bool
	}{
		{"zero value admits nobody", "", lowest, false},
		{"none admits nobody, not even the lowest", None, lowest, false},
		{"one step admits the lowest", Point(0).Above(), lowest, true},
		{"almost all leaves out the highest", FromShare(Billion - 1), highest, false},
		{"hex ffff… leaves out the highest", "ffffffffffffffff", highest, false},
		{"all admits the highest", All, highest, true},
		{"above the highest is all", Point(1<<64 - 1).Above(), highest, true},
		{"half", FromShare(Billion / 2), "7fffffffffffffff", true},
		{"half, exactly at it", FromShare(Billion / 2), "8000000000000000", false},
	} {
		if got := c.t.Admits(c.u); got != c.want {
			t.Errorf("%s: Threshold(%q).Admits(%s) = %v", c.name, c.t, c.u, got)
		}
	}
	if got := FromShare(50_000_000); got != "0ccccccccccccccc" {
		t.Errorf("5 %% = %s", got)
	}
	if got := FromShare(1); got != "000000044b82fa09" {
		t.Errorf("1e-9 = %s", got)
	}
}

func TestParseThresholdRefuses(t *testing.T) {
	for _, s := range []string{"", "ALL", "0", "0CCCCCCCCCCCCCCC", "0ccccccccccccccg", "0cccccccccccccccc", "0x0ccccccccccccc"} {
		if _, err := ParseThreshold(s); err == nil {
			t.Errorf("ParseThreshold(%q) gave no error", s)
		}
	}
}

// A larger share holds the smaller one, whatever the salt and the node: 5 % is inside 25 %.
func TestSharesNest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Uint64Range(0, Billion).Draw(t, "a")
		b := rapid.Uint64Range(a, Billion).Draw(t, "b")
		u := Position(rapid.String().Draw(t, "salt"), rapid.String().Draw(t, "certname"))
		if FromShare(a).Admits(u) && !FromShare(b).Admits(u) {
			t.Fatalf("share %d admits %s, share %d does not", a, u, b)
		}
		if FromShare(b).Less(FromShare(a)) {
			t.Fatalf("threshold of %d is above that of %d", a, b)
		}
	})
}

func TestSharesAreFair(t *testing.T) {
	const n = 20000
	in := 0
	for i := range n {
		if FromShare(50_000_000).Admits(Position("fair", "node"+string(rune('a'+i%26))+itoa(i))) {
			in++
		}
	}
	if in < n*4/100 || in > n*6/100 { // 5 % ± 6.5 standard deviations
		t.Errorf("5 %% of %d admitted %d", n, in)
	}
}

func itoa(i int) string { return string(fromUint(uint64(i))) }

func FuzzParseThreshold(f *testing.F) {
	f.Add("all")
	f.Add("0ccccccccccccccc")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseThreshold(s)
		if err == nil && string(got) != s {
			t.Fatalf("%q became %q", s, got)
		}
		if err == nil && (got.Share() < 0 || got.Share() > 1) {
			t.Fatalf("share of %q is %v", s, got.Share())
		}
	})
}
