package replay

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPlacebo: cohorts without a change are not failed, the same ones every time, and canaries of the past take no part.
func TestPlacebo(t *testing.T) {
	reports, assignments := recorded(t, "production_bad")
	h, a := read(t, reports, assignments)
	n := 0
	p, err := Trials(h, a, options(""), 8, .1, func() { n++ })
	if err != nil {
		t.Fatal(err)
	}
	if n != 8 || p.Trials != 8 || p.Failed > 1 || p.Failed+p.Passed+p.Held != 8 || p.Passed == 0 || len(p.Alarms) != p.Failed || p.High < p.Rate || p.Low > p.Rate {
		t.Errorf("%+v", p)
	}
	_, controls, _ := a.Cohorts()
	if p.Nodes != controls {
		t.Errorf("%d nodes took part, want the %d that never were canaries", p.Nodes, controls)
	}
	again, err := Trials(h, a, options(""), 8, .1, func() {})
	if err != nil || !reflect.DeepEqual(p, again) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestPlaceboRefuses(t *testing.T) {
	reports, assignments := recorded(t, "production_good")
	h, a := read(t, reports, assignments)
	long := options("")
	long.Bake = 9 * time.Hour
	for _, c := range []struct {
		o     Options
		n     int
		share float64
		want  string
	}{
		{long, 5, .1, "a placebo needs at least"},
		{options(""), 0, .1, "expected at least 1"},
		{options(""), 5, 1, "a share between 0 and 1"},
		{options(""), 5, .000001, "one of the random cohorts would be empty"},
	} {
		if _, err := Trials(h, a, c.o, c.n, c.share, func() {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
