package puppetdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// late is a report and when it becomes visible.
type late struct {
	Report
	visible time.Time
}

// archive is a Source that shows what is visible at now, and fails on demand.
type archive struct {
	all    []late
	now    time.Time
	fail   func(from, to time.Time) error
	asks   int
	rows   int
	counts int
}

// counting is an archive that can count, too.
type counting struct{ *archive }

func (c counting) Count(ctx context.Context, from, to time.Time) (n int, err error) {
	asks, rows := c.asks, c.rows
	c.counts++
	seen := map[string]bool{}
	err = c.Reports(ctx, from, to, func(r Report) error { seen[r.Hash] = true; return nil })
	c.asks, c.rows = asks, rows
	return len(seen), err
}

func (a *archive) Reports(_ context.Context, from, to time.Time, fn func(Report) error) error {
	a.asks++
	for _, r := range a.all {
		if !r.visible.After(a.now) && !r.ProducerTimestamp.Before(from) && r.ProducerTimestamp.Before(to) {
			a.rows++
			if err := fn(r.Report); err != nil {
				return err
			}
		}
	}
	if a.fail != nil { // after the rows, as a torn answer does
		return a.fail(from, to)
	}
	return nil
}

func (a *archive) add(n int, produced, visible time.Time) {
	a.all = append(a.all, late{Report{Hash: fmt.Sprintf("%040x", n<<20+1), Certname: fmt.Sprintf("n%d.example.test", n),
		ProducerTimestamp: produced}, visible})
}

func newTestFeed(t interface {
	Helper()
	Fatal(...any)
}, a *archive, start time.Time, o Options) *Feed {
	t.Helper()
	f, err := NewFeed(a, start, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func names(b Batch) (out []string) {
	for _, r := range b.Reports {
		name, _, _ := strings.Cut(r.Certname, ".")
		out = append(out, name)
	}
	return out
}

func mins(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

func TestFeedDeliversOnceInOrder(t *testing.T) {
	a := &archive{}
	a.add(1, noon.Add(-mins(1)), noon)             // before the start
	a.add(2, noon.Add(mins(2)), noon)              //
	a.add(3, noon.Add(mins(1)), noon)              //
	a.add(4, noon.Add(mins(1)), noon)              // same time as 3: by hash
	a.add(5, noon.Add(mins(30)), noon)             // half an hour in the future
	a.add(6, noon.Add(mins(1)), noon.Add(mins(9))) // late, before Through
	a.all = append(a.all, a.all[1])                // PuppetDB repeats itself
	f := newTestFeed(t, a, noon, Options{Overlap: mins(5)})
	type seen struct {
		Names   []string
		Through time.Duration
		Late    int
	}
	var got []seen
	for _, m := range []float64{3, 3, 4, 8, 14, 45, 46} {
		a.now = noon.Add(mins(m))
		b, err := f.Poll(t.Context(), a.now)
		if err = errors.Join(err, b.Incomplete); err != nil {
			t.Fatal(err)
		}
		got = append(got, seen{names(b), b.Through.Sub(noon), b.Late})
	}
	want := []seen{
		{[]string{"n3", "n4", "n2", "n5"}, 0, 0},
		{nil, 0, 0},
		{nil, 0, 0},
		{nil, mins(3), 0},
		{[]string{"n6"}, mins(9), 1},
		{nil, mins(40), 0},
		{nil, mins(41), 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

// Ensure that a torn slice delivers nothing, is not counted, holds Through, and
// is read again; and that its neighbours are not held up by it.
func TestFeedFailedSlice(t *testing.T) {
	a := &archive{now: noon.Add(time.Hour)}
	a.add(1, noon.Add(mins(2)), noon)
	a.add(2, noon.Add(mins(50)), noon)
	torn := errors.New("torn")
	a.fail = func(from, _ time.Time) error {
		if from.Before(noon.Add(mins(10))) {
			return torn
		}
		return nil
	}
	f := newTestFeed(t, a, noon, Options{})
	b, err := f.Poll(t.Context(), a.now)
	if err != nil || !errors.Is(b.Incomplete, torn) || !slices.Equal(names(b), []string{"n2"}) || !b.Through.Equal(noon) {
		t.Fatalf("a batch with a torn slice: %+v, %v", b, err)
	}
	if want := "2026-11-22T12:00:00.000Z to 2026-11-22T12:10:00.000Z: torn"; !strings.Contains(b.Incomplete.Error(), want) {
		t.Errorf("error %q does not say %q", b.Incomplete, want)
	}
	a.fail = nil
	b, err = f.Poll(t.Context(), a.now)
	if err != nil || b.Incomplete != nil || !slices.Equal(names(b), []string{"n1"}) || !b.Through.Equal(noon.Add(mins(45))) {
		t.Fatalf("the batch after: %+v, %v", b, err)
	}
}

func TestFeedSourceDown(t *testing.T) {
	down := errors.New("down")
	a := &archive{now: noon.Add(time.Hour), fail: func(time.Time, time.Time) error { return down }}
	a.add(1, noon.Add(mins(2)), noon)
	f := newTestFeed(t, a, noon, Options{})
	for range 5 {
		b, err := f.Poll(t.Context(), a.now)
		if !errors.Is(err, down) || len(b.Reports) != 0 || !b.Through.IsZero() {
			t.Fatalf("a source that is down: %+v, %v", b, err)
		}
	}
	if a.asks != 5*maxFailures {
		t.Errorf("asked %d times, want %d", a.asks, 5*maxFailures)
	}
	if f.state.span != f.state.opts.Width {
		t.Errorf("span %s after failures, want %s", f.state.span, f.state.opts.Width)
	}
	a.fail = nil
	if b, err := f.Poll(t.Context(), a.now); err != nil || !slices.Equal(names(b), []string{"n1"}) {
		t.Fatalf("afterwards: %+v, %v", b, err)
	}
}

func TestFeedCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := &archive{now: noon.Add(time.Hour)}
	a.add(1, noon.Add(mins(59)), noon)
	a.fail = func(time.Time, time.Time) error {
		if a.asks == 2 {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	f := newTestFeed(t, a, noon, Options{})
	b, err := f.Poll(ctx, a.now)
	if err != nil || !errors.Is(b.Incomplete, context.Canceled) || a.asks != 2 || !b.Through.Equal(noon.Add(mins(10))) {
		t.Errorf("a poll cancelled in its second slice: %+v, %v after %d queries", b, err, a.asks)
	}
	if b, err := f.Poll(ctx, a.now); !errors.Is(err, context.Canceled) || len(b.Reports) != 0 {
		t.Errorf("a poll with a cancelled context: %+v, %v", b, err)
	}
}

func TestFeedRefusesForeignRows(t *testing.T) {
	f := newTestFeed(t, &archive{}, noon, Options{})
	f.source = sourceFunc(func(fn func(Report) error) error { return fn(Report{Hash: "ab", ProducerTimestamp: noon.Add(-1)}) })
	if _, err := f.Poll(t.Context(), noon); err == nil || !strings.Contains(err.Error(), "outside the range asked for") {
		t.Errorf("a report outside the range: %v", err)
	}
}

type sourceFunc func(fn func(Report) error) error

func (s sourceFunc) Reports(_ context.Context, _, _ time.Time, fn func(Report) error) error {
	return s(fn)
}

func TestFeedClock(t *testing.T) {
	f := newTestFeed(t, &archive{}, noon, Options{})
	poll := func(at time.Time) error { _, err := f.Poll(t.Context(), at); return err }
	if err := poll(noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := poll(noon.Add(mins(50))); err != nil {
		t.Errorf("a small step back: %v", err)
	}
	if err := poll(noon.Add(mins(40))); err == nil || !strings.Contains(err.Error(), "clock went back") {
		t.Errorf("a large step back: %v", err)
	}
	if err := poll(noon.Add(-2 * time.Hour)); err == nil {
		t.Error("a time long before the start was taken")
	}
}

func TestFeedOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"negative":             {Overlap: -1},
		"horizon in overlap":   {Horizon: time.Minute},
		"width over span":      {Width: time.Hour},
		"span over catch-up":   {CatchUp: time.Minute},
		"split milliseconds":   {Width: time.Millisecond + 1},
		"negative sweep":       {Sweep: -1},
		"negative look-ahead":  {Ahead: -1},
		"width of nanoseconds": {Width: 1},
	} {
		if _, err := NewFeed(&archive{}, noon, o); err == nil {
			t.Errorf("%s: %+v was taken", name, o)
		}
	}
	if _, err := NewFeed(&archive{}, time.Time{}, Options{}); err == nil {
		t.Error("the zero time was taken as a start")
	}
}

// Ensure, for any lateness, polling and failures, that no report comes twice;
// that one which was visible within Overlap is there when Through passes it;
// that after quiet polling all visible within Horizon are there; and that
// memory is bounded by time.
func TestFeedLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &archive{}
		for n := range rapid.IntRange(1, 60).Draw(t, "reports") {
			produced := noon.Add(time.Duration(rapid.IntRange(0, 10*3600_000).Draw(t, "produced")) * time.Millisecond)
			lag := rapid.OneOf(rapid.IntRange(-3600, 60), rapid.IntRange(0, 900), rapid.IntRange(0, 6*3600)).Draw(t, "lag")
			a.add(n, produced, produced.Add(time.Duration(lag)*time.Second))
		}
		width := time.Duration(rapid.SampledFrom([]int{1, 4, 10}).Draw(t, "width")) * time.Minute
		f := newTestFeed(t, a, noon, Options{Width: width})
		if rapid.Bool().Draw(t, "counting") {
			f.source, f.few = counting{a}, rapid.IntRange(0, 3).Draw(t, "few")
		}
		pace := rapid.SampledFrom([]int{240, 900, 900, 7200}).Draw(t, "pace")
		got := map[string]int{}
		through := noon
		poll := func() {
			b, err := f.Poll(t.Context(), a.now)
			if err != nil {
				return
			}
			for _, r := range b.Reports {
				got[r.Hash]++
			}
			if b.Through.Before(through) || (b.Through.After(a.now.Add(-15*time.Minute)) && !b.Through.Equal(noon)) {
				t.Fatalf("through went from %s to %s at %s", through, b.Through, a.now)
			}
			through = b.Through
			for _, r := range a.all {
				if r.ProducerTimestamp.Before(through) && r.visible.Before(r.ProducerTimestamp.Add(15*time.Minute)) && got[r.Hash] != 1 {
					t.Fatalf("through %s, and the report of %s, visible at %s, came %d times", through, r.ProducerTimestamp, r.visible, got[r.Hash])
				}
			}
		}
		a.now = noon
		for a.now.Before(noon.Add(11 * time.Hour)) {
			a.now = a.now.Add(time.Duration(rapid.IntRange(1, pace).Draw(t, "step")) * time.Second)
			bad := rapid.IntRange(0, 9).Draw(t, "bad")
			a.fail = func(from, _ time.Time) error {
				if bad == 0 || (bad == 1 && from.Minute()%2 == 0) {
					return errors.New("torn")
				}
				return nil
			}
			poll()
		}
		a.fail = nil
		for range 40 {
			a.now = a.now.Add(time.Hour)
			poll()
		}
		for _, r := range a.all {
			if got[r.Hash] != 1 {
				t.Fatalf("the report of %s, visible at %s, came %d times", r.ProducerTimestamp, r.visible, got[r.Hash])
			}
		}
		limit := int((f.state.opts.Horizon + f.state.opts.Ahead + 2*time.Hour) / f.state.opts.Width)
		if len(f.seen) != len(f.state.read) || len(f.seen) > limit {
			t.Fatalf("%d slices are remembered, want %d at most", len(f.seen), limit)
		}
	})
}

// TestFeedCountsBeforeItReadsAgain: of a fleet that is not small, a report that came in time is read once or twice and at the end, and a
// late one has its slice alone read again, although every slice is looked at twenty times.
func TestFeedCountsBeforeItReadsAgain(t *testing.T) {
	a := &archive{}
	const perMinute, minutes = 60, 30
	for i := range perMinute * minutes {
		at := noon.Add(time.Duration(i) * time.Second)
		a.add(i, at, at.Add(time.Second))
	}
	a.add(9999, noon.Add(mins(10.5)), noon.Add(mins(90)))
	f := newTestFeed(t, a, noon, Options{Ahead: time.Second, Width: 30 * time.Second})
	f.source, f.few = counting{a}, 10
	got := 0
	for at := time.Duration(0); at < 8*time.Hour; at += 30 * time.Second {
		a.now = noon.Add(at + 7*time.Second)
		b, err := f.Poll(t.Context(), a.now)
		if err = errors.Join(err, b.Incomplete); err != nil {
			t.Fatal(err)
		}
		got += len(b.Reports)
	}
	if got != perMinute*minutes+1 {
		t.Errorf("%d reports came, want %d", got, perMinute*minutes+1)
	}
	if each := float64(a.rows) / float64(got); each > 2.6 || each < 2 || a.counts < 60*12 {
		t.Errorf("a report was read %.2f times, and counted %d times in all", each, a.counts)
	}
}

// TestFeedCountsFail: a count that fails leaves its range due, and what cannot be counted is not taken for read.
func TestFeedCountsFail(t *testing.T) {
	a := &archive{now: noon.Add(mins(3))}
	a.add(1, noon.Add(mins(1)), noon)
	f := newTestFeed(t, a, noon, Options{Ahead: time.Second})
	f.source, f.few = counting{a}, 1
	if _, err := f.Poll(t.Context(), a.now); err != nil {
		t.Fatal(err)
	}
	a.add(2, noon.Add(mins(1.5)), noon.Add(mins(4)))
	a.now = noon.Add(mins(9))
	down := errors.New("down")
	a.fail = func(from, _ time.Time) error {
		if from.Before(noon.Add(mins(3))) {
			return down
		}
		return nil
	}
	if b, err := f.Poll(t.Context(), a.now); !errors.Is(err, down) || len(b.Reports) > 0 {
		t.Fatalf("a count that fails: %v, %v", b, err)
	}
	a.fail = nil
	if b, err := f.Poll(t.Context(), a.now); err != nil || b.Incomplete != nil || !slices.Equal(names(b), []string{"n2"}) {
		t.Fatalf("afterwards: %v, %v", b, err)
	}
}

// TestFeedCondensed: with fingerprints that are condensed early nothing is lost, and only what shares a slice with a report that came
// later than that comes again, with it.
func TestFeedCondensed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &archive{}
		const exact = time.Hour
		late := map[time.Time]bool{}
		for n := range rapid.IntRange(1, 80).Draw(t, "reports") {
			produced := noon.Add(time.Duration(rapid.IntRange(0, 3*3600_000).Draw(t, "produced")) * time.Millisecond)
			lag := time.Duration(rapid.OneOf(rapid.IntRange(0, 900), rapid.IntRange(0, 5*3600)).Draw(t, "lag")) * time.Second
			a.add(n, produced, produced.Add(lag))
			late[produced.Truncate(10*time.Minute)] = late[produced.Truncate(10*time.Minute)] || lag > exact-30*time.Minute
		}
		f := newTestFeed(t, a, noon, Options{Width: 10 * time.Minute, Exact: exact})
		if rapid.Bool().Draw(t, "counting") {
			f.source, f.few = counting{a}, rapid.IntRange(0, 3).Draw(t, "few")
		}
		got := map[string]int{}
		for a.now = noon; a.now.Before(noon.Add(14 * time.Hour)); a.now = a.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "step")) * time.Minute) {
			b, err := f.Poll(t.Context(), a.now)
			if err = errors.Join(err, b.Incomplete); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.Reports {
				got[r.Hash]++
			}
			for i := range f.seen {
				if p := &f.seen[i]; f.now.Sub(f.state.at(f.state.first+i+1)) >= exact && len(p.settled)+len(p.fresh) > 0 {
					t.Fatalf("a slice of %s has its fingerprints at %s", f.state.at(f.state.first+i), f.now)
				}
			}
		}
		for _, r := range a.all {
			if n := got[r.Hash]; n == 0 || n > 1 && !late[r.ProducerTimestamp.Truncate(10*time.Minute)] {
				t.Fatalf("the report of %s, visible at %s, came %d times", r.ProducerTimestamp, r.visible, n)
			}
		}
	})
}
