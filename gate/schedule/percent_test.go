package schedule

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]Percent{
		"0%":          0,
		"0.0000001%":  1,
		"0.000001%":   10,
		"0.0001%":     1_000,
		"5%":          50_000_000,
		"12.5%":       125_000_000,
		"99.9999999%": 999_999_999,
		"100%":        1_000_000_000,
		"100.0%":      1_000_000_000,
	} {
		got, err := ParsePercent(text)
		if err != nil || got != want {
			t.Errorf("ParsePercent(%q) = %d, %v, want %d", text, got, err, want)
		}
		if written := got.String(); written != strings.Replace(text, ".0%", "%", 1) {
			t.Errorf("%s is written %s", text, written)
		}
	}
	for _, text := range []string{"0.00000001%", "0.00000009%", "5.00000001%"} {
		const want = "expected at most 7 decimals in a percentage, the smallest is 0.0000001%, got "
		if _, err := ParsePercent(text); err == nil || err.Error() != want+strconv.Quote(text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "%", "5", "5 %", " 5%", "-5%", "+5%", ".5%", "5.%", "5,5%", "1e1%", "0x5%", "5%%",
		"100.0000001%", "101%", "1000%", "0005%", "0.00000001%", "NaN%", "٥%",
	} {
		if got, err := ParsePercent(text); err == nil {
			t.Errorf("ParsePercent(%q) = %d, want an error", text, got)
		}
	}
}

func TestPercentOf(t *testing.T) {
	for _, test := range []struct {
		share string
		nodes int
		want  int
	}{
		{"5%", 100, 5},
		{"5%", 101, 6},
		{"0.0001%", 1_000_000, 1},
		{"0.0001%", 1, 1},
		{"0.000001%", 100_000_000, 1},
		{"0.000001%", 100_000_001, 2},
		{"0%", 1_000_000, 0},
		{"100%", 7, 7},
		{"50%", 0, 0},
		{"50%", -3, 0},
		{"99.9999999%", 1 << 62, 4_611_686_013_815_701_886},
	} {
		share, err := ParsePercent(test.share)
		if err != nil {
			t.Fatal(err)
		}
		if got := share.Of(test.nodes); got != test.want {
			t.Errorf("%s of %d = %d, want %d", test.share, test.nodes, got, test.want)
		}
	}
}

func TestPercentTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Percent(rapid.Uint64Range(0, uint64(Hundred)).Draw(t, "share"))
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Percent
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Fatalf("%d was written as %s and read as %d, %v", uint64(want), data, uint64(got), err)
		}
		nodes := rapid.IntRange(1, 1_000_000).Draw(t, "nodes")
		count := want.Of(nodes)
		if count < 0 || count > nodes || count == 0 && want > 0 {
			t.Fatalf("%s of %d is %d", want, nodes, count)
		}
	})
	if _, err := json.Marshal(Hundred + 1); err == nil {
		t.Error("a share over 100% was written")
	}
}

func FuzzParsePercent(f *testing.F) {
	for _, seed := range []string{"5%", "0.0001%", "100%", "100.0000001%", "-1%", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		share, err := ParsePercent(text)
		if err != nil {
			if share != 0 {
				t.Fatalf("ParsePercent(%q) returns %d beside an error", text, share)
			}
			return
		}
		again, err := ParsePercent(share.String())
		if share > Hundred || err != nil || again != share {
			t.Fatalf("ParsePercent(%q) = %d, which is written %q and read as %d, %v", text, share, share, again, err)
		}
	})
}
