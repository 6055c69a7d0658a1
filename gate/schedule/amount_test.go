package schedule

import "testing"

func TestParseAmount(t *testing.T) {
	for _, test := range []struct {
		text string
		want Amount
		of   int // of 1,000 nodes
		back string
	}{
		{"0", Amount{}, 0, "0"},
		{"10", Amount{Nodes: 10}, 10, "10"},
		{"2%", Amount{Percent: 2 * Hundred / 100}, 20, "2%"},
		{"max(10, 2%)", DefaultInFlight, 20, "max(10, 2%)"},
		{"max(30,2%)", Amount{Nodes: 30, Percent: 2 * Hundred / 100}, 30, "max(30, 2%)"},
		{"5000", Amount{Nodes: 5000}, 5000, "5000"},
	} {
		got, err := ParseAmount(test.text)
		if err != nil || got != test.want {
			t.Errorf("ParseAmount(%q) = %+v, %v, want %+v", test.text, got, err, test.want)
		}
		if of := got.Of(1000); of != test.of {
			t.Errorf("%q of 1000 = %d, want %d", test.text, of, test.of)
		}
		if back := got.String(); back != test.back {
			t.Errorf("%q is written %q, want %q", test.text, back, test.back)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5", "ten", "101%", "max(10)", "max(10, 2%", "max(2%, 10)", "max(-1, 2%)", "99999999999999999999"} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("ParseAmount(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"10", "2%", "max(10, 2%)", "max(", "max(,)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := ParseAmount(text)
		if err != nil {
			return
		}
		if again, err := ParseAmount(amount.String()); err != nil || again != amount {
			t.Fatalf("ParseAmount(%q) = %+v, which is written %q and read as %+v, %v", text, amount, amount, again, err)
		}
	})
}
