package analyzer

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(0, rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "ns")).In(time.FixedZone("", 7200))
		m := MomentOf(at)
		if !m.Time().Equal(at) || m.Time().Location() != time.UTC {
			t.Fatalf("%s became %s", at, m.Time())
		}
		got, err := json.Marshal(m)
		want, errTime := json.Marshal(at.UTC())
		if err != nil || errTime != nil || string(got) != string(want) {
			t.Fatalf("%s, expected %s as a time.Time: %v %v", got, want, err, errTime)
		}
		var back Moment
		if err := json.Unmarshal(got, &back); err != nil || back != m {
			t.Fatalf("%s was read as %d, expected %d: %v", got, back, m, err)
		}
	})
}

// TestMomentNeverUnadmits: only never is never, so that no time makes a control of a canary.
func TestMomentNeverUnadmits(t *testing.T) {
	if m := MomentOf(time.Time{}); m != 0 || !m.Time().IsZero() {
		t.Errorf("never is %d", m)
	}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, math.MinInt64).Add(-1), time.Unix(0, math.MaxInt64).Add(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if !(Node{AdmittedAt: MomentOf(at)}).Admitted() {
			t.Errorf("admitted at %s is a control", at)
		}
	}
	for _, s := range []string{`"1677-01-01T00:00:00Z"`, `"2263-01-01T00:00:00Z"`, `"yesterday"`, `7`} {
		var m Moment
		if err := json.Unmarshal([]byte(s), &m); err == nil {
			t.Errorf("%s was read as %s", s, m.Time())
		}
	}
	var m Moment
	if err := json.Unmarshal([]byte(`"0001-01-01T00:00:00Z"`), &m); err != nil || m != 0 {
		t.Errorf("never was read as %d: %v", m, err)
	}
}
