package puppetdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Source is what a Feed reads from. Reports must call fn for every report with
// from <= producer_timestamp < to that is visible, and return nil only if it
// did. *Client is one.
type Source interface {
	Reports(ctx context.Context, from, to time.Time, fn func(Report) error) error
}

// Counter is a Source that can say how many reports Reports would bring. A Feed then reads again only where
// the number is not the one that it knows. *Client is one.
type Counter interface {
	Count(ctx context.Context, from, to time.Time) (int, error)
}

var (
	_ Source  = (*Client)(nil)
	_ Counter = (*Client)(nil)
)

// Batch is what one Poll brought.
type Batch struct {
	// Reports are those not delivered before, by ProducerTimestamp, then Hash.
	Reports []Report
	// Through is the time before which everything was read that PuppetDB had
	// at an age of Overlap. It never goes back and never passes now-Overlap;
	// it stands still while a slice fails. At the start it is the feed's start.
	Through time.Time
	// Late counts the Reports from before the Through of the batch before.
	Late int
	// Incomplete says why a part of the plan was not read; nil if all was. The
	// Reports are valid nevertheless, and that part stays due.
	Incomplete error
}

// Feed delivers each report, however late it becomes visible, up to Horizon, and
// once, but for what Options.Exact says. It keeps no state outside memory: after a restart, begin early
// enough again.
//
// It is not safe for concurrent use.
type Feed struct {
	source  Source
	state   state
	seen    []prints  // by slice, beside state.read
	now     time.Time // of the last Poll
	through time.Time // of the last Batch
	few     int       // see fewRows
}

// NewFeed returns a feed of the reports produced since start.
func NewFeed(source Source, start time.Time, opts Options) (*Feed, error) {
	o := opts.withDefaults()
	if start.IsZero() {
		return nil, errors.New("report feed: start is the zero time; expected when to begin")
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	start = start.Truncate(time.Millisecond)
	return &Feed{
		source:  source,
		state:   state{opts: o, start: start, span: o.Span},
		through: start,
		few:     fewRows,
	}, nil
}

// maxFailures ends a Poll: a PuppetDB that is down would fail every slice.
const maxFailures = 3

// Poll reads what is due at now and returns what is new. A slice that failed
// delivers nothing, holds Through back, and is due again in the next Poll. The
// error is not nil if nothing at all could be read; nothing is lost then
// either.
func (f *Feed) Poll(ctx context.Context, now time.Time) (Batch, error) {
	var all []Report
	b, err := f.PollEach(ctx, now, func(r []Report) { all = append(all, r...) })
	slices.SortFunc(all, inOrder)
	b.Reports = all
	return b, err
}

func inOrder(x, y Report) int {
	return cmp.Or(x.ProducerTimestamp.Compare(y.ProducerTimestamp), cmp.Compare(x.Hash, y.Hash))
}

// PollEach is Poll for fleets whose news of one poll would not fit into memory: it
// hands the new reports of every range to sink, in order, and the Batch has none.
func (f *Feed) PollEach(ctx context.Context, now time.Time, sink func([]Report)) (Batch, error) {
	if err := f.tick(now); err != nil {
		return Batch{}, err
	}
	var b Batch
	var failed []error
	done, largest := 0, 0
	for _, sl := range plan(f.now, f.state) {
		if len(failed) == maxFailures || ctx.Err() != nil {
			break
		}
		fresh, rows, err := f.readDue(ctx, sl)
		largest = max(largest, rows)
		if err != nil {
			failed = append(failed, fmt.Errorf("report feed: %s to %s: %w", wire(sl.from), wire(sl.to), err))
		} else {
			f.settle(sl)
		}
		if err == nil || len(fresh) > 0 {
			done++
		}
		for i := range fresh {
			if fresh[i].ProducerTimestamp.Before(f.through) {
				b.Late++
			}
		}
		if len(fresh) > 0 {
			slices.SortFunc(fresh, inOrder)
			sink(fresh)
		}
	}
	b.Incomplete = errors.Join(append(failed, ctx.Err())...)
	f.adapt(len(failed) > 0, largest)
	if done == 0 {
		return Batch{}, cmp.Or(b.Incomplete, errors.New("report feed: nothing to read"))
	}
	f.finish(&b)
	return b, nil
}

// tick takes over the time. A clock that went back a little is ignored; one
// that went back far had been wrong, so slices were taken for final that were
// not, and only a new feed mends that.
func (f *Feed) tick(now time.Time) error {
	if now.Before(f.state.start.Add(-f.state.opts.Ahead)) {
		return fmt.Errorf("report feed: now %s is before the feed's start %s", wire(now), wire(f.state.start))
	}
	if f.now.Sub(now) > f.state.opts.Overlap {
		return fmt.Errorf("report feed: the clock went back from %s to %s; begin a new feed", wire(f.now), wire(now))
	}
	if now.After(f.now) {
		f.now = now
	}
	return nil
}

// readDue reads one planned range: all of it, or of a range that was read before, what has grown since. After an error
// the reports are those of the parts that were read whole.
func (f *Feed) readDue(ctx context.Context, sl slice) (fresh []Report, rows int, err error) {
	parts, err := f.grown(ctx, sl)
	for _, part := range parts {
		if err != nil {
			break
		}
		var news []Report
		var n int
		news, n, err = f.readSlice(ctx, part)
		fresh, rows = append(fresh, news...), max(rows, n)
	}
	return fresh, rows, err
}

// fewRows is how many reports are read sooner than counted: a query has its own price.
const fewRows = 1000

// grown gives the parts of a range that have to be read, and marks the rest as read: slices that were read whole before
// and of which the source counts as many reports as are known. Their last reading is never left to counting, since a
// number hides what went when as much came.
func (f *Feed) grown(ctx context.Context, sl slice) (parts []slice, err error) {
	s := &f.state
	counter, can := f.source.(Counter)
	known := 0
	for i := s.index(sl.from); i < s.index(sl.to) && can; i++ {
		if f.countable(i) {
			known += f.seen[i-s.first].len()
		}
	}
	if known < f.few {
		return []slice{sl}, nil
	}
	for i := s.index(sl.from); i < s.index(sl.to); i++ {
		part := slice{s.at(i), s.at(i + 1)}
		if f.countable(i) {
			n, err := counter.Count(ctx, part.from, part.to)
			if err != nil {
				return nil, err
			}
			if n == f.seen[i-s.first].len() {
				f.mark(part)
				continue
			}
		}
		if n := len(parts); n > 0 && parts[n-1].to.Equal(part.from) {
			parts[n-1].to = part.to
			continue
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// countable says of a slice that it was read after its end, and that this is not its last reading.
func (f *Feed) countable(i int) bool {
	end := f.state.at(i + 1)
	last := f.state.lastRead(i)
	return !last.IsZero() && !last.Before(end) && f.now.Before(end.Add(f.state.opts.Horizon))
}

// readSlice reads one planned range and, if all of it came, marks its slices
// as read and returns the reports that are new.
func (f *Feed) readSlice(ctx context.Context, sl slice) (fresh []Report, rows int, err error) {
	var all []Report
	err = f.source.Reports(ctx, sl.from, sl.to, func(r Report) error {
		if r.ProducerTimestamp.Before(sl.from) || !r.ProducerTimestamp.Before(sl.to) {
			return fmt.Errorf("report %s of %s was produced at %s, outside the range asked for",
				r.Hash, r.Certname, wire(r.ProducerTimestamp))
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, len(all), err
	}
	f.mark(sl)
	rows = len(all)
	f.reopen(all)
	return slices.DeleteFunc(all, f.known), rows, nil
}

// reopen compares what was read of condensed slices with what is known of them. Where it is something else, all of the slice is
// taken for new, as nobody can tell any more what is.
func (f *Feed) reopen(all []Report) {
	read := map[int]digest{}
	for i := range all {
		k := f.state.index(all[i].ProducerTimestamp) - f.state.first
		if p := &f.seen[k]; p.condensed() {
			d := read[k]
			d.add(fingerprint(all[i].Hash))
			read[k] = d
		}
	}
	for k, d := range read {
		if f.seen[k].past != d {
			f.seen[k] = prints{}
		}
	}
}

// mark notes that the slices of a range were read now.
func (f *Feed) mark(sl slice) {
	s := &f.state
	for i := s.index(sl.from); i < s.index(sl.to); i++ {
		for s.first+len(s.read) <= i {
			s.read = append(s.read, time.Time{})
			f.seen = append(f.seen, prints{})
		}
		s.read[i-s.first] = f.now
	}
}

func (s state) index(t time.Time) int { return int(t.Sub(s.start) / s.opts.Width) }

// known reports whether r was delivered before, and remembers it.
func (f *Feed) known(r Report) bool {
	return f.seen[f.state.index(r.ProducerTimestamp)-f.state.first].known(fingerprint(r.Hash))
}

// settle condenses the fingerprints of slices that are over.
func (f *Feed) settle(sl slice) {
	s := &f.state
	for i := s.index(sl.from); i < s.index(sl.to); i++ {
		if !s.at(i + 1).After(f.now) {
			f.seen[i-s.first].settle()
		}
	}
}

// manyRows is more than one range should have, for the memory that it takes.
const manyRows = 40_000

// adapt makes queries smaller after a failure, for one may have been too large
// for PuppetDB's time limit, or after one that was too large for us, and larger
// again after success.
func (f *Feed) adapt(failed bool, largest int) {
	s := &f.state
	switch {
	case failed || largest > manyRows:
		s.span = max(s.span/2, s.opts.Width)
	case largest < manyRows/4:
		s.span = min(s.span*2, s.opts.Span)
	}
}

// finish completes the batch and forgets final slices.
func (f *Feed) finish(b *Batch) {
	f.through = f.state.through(f.now)
	b.Through = f.through
	for i, s := 0, &f.state; i < len(f.seen) && s.opts.Exact < s.opts.Horizon && f.now.Sub(s.at(s.first+i+1)) >= s.opts.Exact; i++ {
		f.seen[i].condense()
	}
	for s := &f.state; s.final(); {
		f.seen[0] = prints{} // the array behind the slice lives on
		s.first, s.read, f.seen = s.first+1, s.read[1:], f.seen[1:]
	}
}
