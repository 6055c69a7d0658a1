package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Options tune a Queue; a zero field takes its value from DefaultOptions.
type Options struct {
	// Size is how many events may wait for each notifier, besides the one
	// that is being told.
	Size int
	// AttemptTimeout bounds one call of Notify.
	AttemptTimeout time.Duration
	// BackoffMin and BackoffMax are the first and the longest wait between
	// attempts; each wait is twice the last one, give or take a fifth.
	BackoffMin, BackoffMax time.Duration
	// GiveUpAfter bounds the attempts for one event, counted from the first,
	// so that one that always fails cannot keep the others back for ever.
	GiveUpAfter time.Duration
	// Registerer takes the sluice_notify_* metrics; nil keeps them private.
	Registerer prometheus.Registerer
	Log        zerolog.Logger
}

// DefaultOptions suit receivers that may be down for a long maintenance: what
// waits behind the first event is not lost with it.
var DefaultOptions = Options{
	Size:           1024,
	AttemptTimeout: 30 * time.Second,
	BackoffMin:     time.Second,
	BackoffMax:     5 * time.Minute,
	GiveUpAfter:    time.Hour,
}

// closeGrace is how long Close waits for notifiers that it has cancelled.
const closeGrace = time.Second

// Queue tells events to notifiers, each in order and independently of the
// others. It is safe for concurrent use.
type Queue struct {
	lanes  []*lane
	cancel context.CancelFunc
	done   chan struct{} // closed when every lane has ended

	mu     sync.RWMutex // held for reading while an event is pushed
	closed bool
}

var notifierName = regexp.MustCompile(`\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}\z`)

// NewQueue starts one goroutine per notifier; Close ends them. Without
// notifiers it is a queue that forgets.
func NewQueue(o Options, notifiers ...Notifier) (*Queue, error) {
	o.Size = cmp.Or(o.Size, DefaultOptions.Size)
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, DefaultOptions.AttemptTimeout)
	o.BackoffMin = cmp.Or(o.BackoffMin, DefaultOptions.BackoffMin)
	o.BackoffMax = max(cmp.Or(o.BackoffMax, DefaultOptions.BackoffMax), o.BackoffMin)
	o.GiveUpAfter = cmp.Or(o.GiveUpAfter, DefaultOptions.GiveUpAfter)
	if o.Size < 0 || o.AttemptTimeout < 0 || o.BackoffMin < 0 || o.GiveUpAfter < 0 {
		return nil, fmt.Errorf("notify queue: expected no negative option, got size %d, attempt timeout %s, backoff from %s, give up after %s",
			o.Size, o.AttemptTimeout, o.BackoffMin, o.GiveUpAfter)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	var names []string
	for _, n := range notifiers {
		if name := n.Name(); !notifierName.MatchString(name) || slices.Contains(names, name) {
			return nil, fmt.Errorf("notify queue: expected unique names of letters, digits and ._-, got %q", name)
		}
		names = append(names, n.Name())
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("notify queue: %w", err)
	}
	return start(o, m, notifiers), nil
}

func start(o Options, m *metrics, notifiers []Notifier) *Queue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &Queue{cancel: cancel, done: make(chan struct{})}
	var running sync.WaitGroup
	for _, n := range notifiers {
		m.show(n.Name())
		l := &lane{notifier: n, name: n.Name(), options: o, metrics: m, events: make(chan Event, o.Size),
			log: o.Log.With().Str("notifier", n.Name()).Logger()}
		q.lanes = append(q.lanes, l)
		running.Go(func() { l.run(ctx) })
	}
	go func() {
		running.Wait()
		close(q.done)
	}()
	return q
}

// Push takes the event over and returns at once, whatever the state of the
// receivers. An event that cannot be queued is dropped: logged and counted.
func (q *Queue) Push(e Event) {
	e.Tags = slices.Clone(e.Tags)
	err := e.Check()
	q.mu.RLock()
	defer q.mu.RUnlock()
	for _, l := range q.lanes {
		switch {
		case err != nil:
			l.drop(e, dropInvalid, err)
		case q.closed:
			l.drop(e, dropClosed, nil)
		default:
			l.push(e)
		}
	}
}

// Close takes no more events and tells those that wait until ctx is done;
// what is then left is dropped, and the error says how much. It is safe to
// call again.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		for _, l := range q.lanes {
			close(l.events)
		}
	}
	q.mu.Unlock()
	defer q.cancel()
	select {
	case <-q.done:
	case <-ctx.Done():
		q.cancel()
		select {
		case <-q.done:
		case <-time.After(closeGrace):
			return errors.New("close notify queue: a notifier does not end")
		}
	}
	var left int64
	for _, l := range q.lanes {
		left += l.abandoned.Load()
		if c, ok := l.notifier.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
	if left > 0 {
		return fmt.Errorf("close notify queue: %d events were not told: %w", left, context.Cause(ctx))
	}
	return nil
}
