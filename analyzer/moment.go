package analyzer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Moment is a time in nanoseconds since 1970, 0 = never. A time.Time takes three times the room, which tells at a million
// nodes. In JSON it is what a time.Time in UTC is.
type Moment int64

// Its range: the years 1677 to 2262.
var firstMoment, lastMoment = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)

// MomentOf drops the zone and the monotonic reading, which say nothing about the moment. What is out of range becomes the
// end of the range, and the very moment that stands for never the next one: who was admitted stays so.
func MomentOf(t time.Time) Moment {
	switch {
	case t.IsZero():
		return 0
	case t.Before(firstMoment):
		return math.MinInt64
	case t.After(lastMoment):
		return math.MaxInt64
	}
	return cmp.Or(Moment(t.UnixNano()), 1)
}

// Time is the same in UTC, the zero time for never.
func (m Moment) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(m)).UTC()
}

// milli is the same in milliseconds.
func (m Moment) milli() int64 { return m.Time().UnixMilli() }

// MarshalJSON writes it as RFC 3339.
func (m Moment) MarshalJSON() ([]byte, error) { return m.Time().MarshalJSON() }

// UnmarshalJSON refuses what is out of range.
func (m *Moment) UnmarshalJSON(data []byte) error {
	var t time.Time
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	if *m = MomentOf(t); !t.IsZero() && (t.Before(firstMoment) || t.After(lastMoment)) {
		return fmt.Errorf("time %s: expected a year from 1678 to 2261", t.Format(time.RFC3339Nano))
	}
	return nil
}
