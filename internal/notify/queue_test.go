package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a notifier that does what answer says and remembers what it took.
type fake struct {
	name   string
	answer func(ctx context.Context, e Event, attempt int) error // nil takes everything

	mu       sync.Mutex
	attempts map[string]int
	took     []string
}

func (f *fake) Name() string { return f.name }

func (f *fake) Notify(ctx context.Context, e Event) error {
	f.mu.Lock()
	if f.attempts == nil {
		f.attempts = map[string]int{}
	}
	f.attempts[e.ID]++
	n := f.attempts[e.ID]
	f.mu.Unlock()
	if f.answer != nil {
		if err := f.answer(ctx, e, n); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = append(f.took, e.ID)
	return nil
}

func (f *fake) saw(id string) (attempts int, took []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts[id], append([]string(nil), f.took...)
}

func hang(ctx context.Context, _ Event, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func event(id string) Event {
	return Event{ID: id, Rollout: "ntp", Kind: KindHeld, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func open(t *testing.T, o Options, ns ...Notifier) *Queue {
	t.Helper()
	q, err := NewQueue(o, ns...)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// dropped reads sluice_notify_dropped_total.
func dropped(t *testing.T, reg *prometheus.Registry, notifier, reason string) float64 {
	t.Helper()
	m, err := newMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	return testutil.ToFloat64(m.dropped.WithLabelValues(notifier, reason))
}

// An event that fails is tried again before the next one is told.
func TestQueueKeepsOrderOverRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f", answer: func(_ context.Context, e Event, n int) error {
			if e.ID == "b" && n < 4 {
				return errors.New("down")
			}
			return nil
		}}
		q := open(t, Options{}, f)
		for _, id := range []string{"a", "b", "c"} {
			q.Push(event(id))
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		attempts, took := f.saw("b")
		if diff := cmp.Diff([]string{"a", "b", "c"}, took); diff != "" || attempts != 4 {
			t.Errorf("%d attempts; order (-want +got):\n%s", attempts, diff)
		}
	})
}

// A notifier that hangs delays neither the caller nor the other notifiers,
// and what does not fit is dropped, logged and counted.
func TestQueueNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		stuck, well := &fake{name: "stuck", answer: hang}, &fake{name: "well"}
		q := open(t, Options{Size: 3, Registerer: reg, Log: zerolog.New(zerolog.SyncWriter(&log))}, stuck, well)
		start := time.Now()
		for i := range 6 {
			q.Push(event(fmt.Sprint(i)))
			synctest.Wait() // one is being told, three wait, two are too many
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("push took %s", d)
		}
		if _, took := well.saw(""); len(took) != 6 {
			t.Errorf("the other notifier took %v", took)
		}
		if got := dropped(t, reg, "stuck", dropFull); got != 2 {
			t.Errorf("got %v dropped as full, want 2", got)
		}
		if got := dropped(t, reg, "well", dropFull); got != 0 {
			t.Errorf("got %v dropped of the other, want 0", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := q.Close(ctx)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 events were not told") {
			t.Errorf("close: got %v", err)
		}
		if got := dropped(t, reg, "stuck", dropClosed); got != 4 {
			t.Errorf("got %v dropped as closed, want 4", got)
		}
		for _, part := range []string{`"level":"error"`, `"event":"5"`, `"reason":"full"`, `"reason":"closed"`} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log does not say %s:\n%s", part, &log)
			}
		}
	})
}

func TestQueueGivesUp(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name     string
		err      error
		reason   string
		min, max int           // attempts
		after    time.Duration // at most
	}{
		// The ranges are what waits that are a fifth shorter or longer allow.
		{"an outage is waited for", down, dropExhausted, 17, 23, time.Hour},
		{"a refusal is final", &Error{Err: down, Permanent: true}, dropRefused, 1, 1, 0},
		{"the receiver's wish is honoured", &Error{Err: down, RetryAfter: 4 * time.Minute}, dropExhausted, 10, 16, time.Hour},
		{"but not for ever", &Error{Err: down, RetryAfter: 1000 * time.Hour}, dropExhausted, 11, 13, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				f := &fake{name: "f", answer: func(_ context.Context, e Event, _ int) error {
					if e.ID == "bad" {
						return fmt.Errorf("wrapped: %w", tt.err)
					}
					return nil
				}}
				q := open(t, Options{Registerer: reg}, f)
				start := time.Now()
				q.Push(event("bad"))
				q.Push(event("good"))
				if err := q.Close(t.Context()); err != nil {
					t.Error(err)
				}
				attempts, took := f.saw("bad")
				if attempts < tt.min || attempts > tt.max || time.Since(start) > tt.after {
					t.Errorf("got %d attempts in %s, want %d to %d in %s", attempts, time.Since(start), tt.min, tt.max, tt.after)
				}
				if diff := cmp.Diff([]string{"good"}, took); diff != "" {
					t.Errorf("took (-want +got):\n%s", diff)
				}
				if got := dropped(t, reg, "f", tt.reason); got != 1 {
					t.Errorf("got %v dropped as %s, want 1", got, tt.reason)
				}
			})
		})
	}
}

// An attempt that hangs ends by its timeout and is tried again.
func TestQueueBoundsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f", answer: func(ctx context.Context, e Event, n int) error {
			if n == 1 {
				return hang(ctx, e, n)
			}
			return nil
		}}
		q := open(t, Options{AttemptTimeout: time.Minute}, f)
		q.Push(event("a"))
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n, took := f.saw("a"); n != 2 || len(took) != 1 {
			t.Errorf("got %d attempts, took %v", n, took)
		}
	})
}

// A panic in a notifier is a failed attempt.
func TestQueueSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f", answer: func(_ context.Context, _ Event, n int) error {
			if n == 1 {
				panic("API contract not enforced by server")
			}
			return nil
		}}
		q := open(t, Options{}, f)
		q.Push(event("a"))
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n, took := f.saw("a"); n != 2 || len(took) != 1 {
			t.Errorf("got %d attempts, took %v", n, took)
		}
	})
}

// Close ends also when a notifier does not honour its context.
func TestQueueCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		q := open(t, Options{}, &fake{name: "f", answer: func(context.Context, Event, int) error { <-release; return nil }})
		q.Push(event("a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := q.Close(ctx); err == nil || !strings.Contains(err.Error(), "does not end") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Minute+closeGrace {
			t.Errorf("close took %s", d)
		}
		close(release)
		if err := q.Close(t.Context()); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestQueueDropsWhatItCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := &fake{name: "f"}
		q := open(t, Options{Registerer: reg}, f)
		q.Push(Event{ID: "no kind"})
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		q.Push(event("late"))
		if got := dropped(t, reg, "f", dropInvalid); got != 1 {
			t.Errorf("got %v invalid, want 1", got)
		}
		if got := dropped(t, reg, "f", dropClosed); got != 1 {
			t.Errorf("got %v closed, want 1", got)
		}
		if _, took := f.saw(""); len(took) != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Pushing and closing at once neither panics nor loses count.
func TestQueueConcurrentClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := &fake{name: "f"}
		q := open(t, Options{Registerer: reg}, f)
		const pushers, each = 8, 50
		var wg sync.WaitGroup
		for p := range pushers {
			wg.Go(func() {
				for i := range each {
					q.Push(event(fmt.Sprintf("%d-%d", p, i)))
				}
			})
		}
		wg.Go(func() {
			if err := q.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		_, took := f.saw("")
		if got := len(took) + int(dropped(t, reg, "f", dropClosed)); got != pushers*each {
			t.Errorf("took and dropped %d of %d", got, pushers*each)
		}
	})
}

// A queue made after a reload goes on with the counters, and each series
// exists before its first event.
func TestQueueMetricsOutliveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		for range 2 {
			q := open(t, Options{Registerer: reg}, &fake{name: "f"})
			q.Push(event("a"))
			if err := q.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		want := `
# HELP sluice_notify_delivered_total Events that the receiver took.
# TYPE sluice_notify_delivered_total counter
sluice_notify_delivered_total{notifier="f"} 2
# HELP sluice_notify_dropped_total Events that were never delivered, by reason.
# TYPE sluice_notify_dropped_total counter
sluice_notify_dropped_total{notifier="f",reason="closed"} 0
sluice_notify_dropped_total{notifier="f",reason="exhausted"} 0
sluice_notify_dropped_total{notifier="f",reason="full"} 0
sluice_notify_dropped_total{notifier="f",reason="invalid"} 0
sluice_notify_dropped_total{notifier="f",reason="refused"} 0
# HELP sluice_notify_queue_length Events that wait, the one being told included.
# TYPE sluice_notify_queue_length gauge
sluice_notify_queue_length{notifier="f"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_notify_delivered_total",
			"sluice_notify_dropped_total", "sluice_notify_queue_length"); err != nil {
			t.Error(err)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
	})
}

func TestNewQueueRefuses(t *testing.T) {
	taken := prometheus.NewRegistry()
	taken.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_notify_dropped_total", Help: "another's"}))
	for name, try := range map[string]func() (*Queue, error){
		"the same name twice": func() (*Queue, error) { return NewQueue(Options{}, &fake{name: "a"}, &fake{name: "a"}) },
		"no name":             func() (*Queue, error) { return NewQueue(Options{}, &fake{}) },
		"a url as name":       func() (*Queue, error) { return NewQueue(Options{}, &fake{name: "https://x/secret"}) },
		"a negative size":     func() (*Queue, error) { return NewQueue(Options{Size: -1}) },
		"a metric's name":     func() (*Queue, error) { return NewQueue(Options{Registerer: taken}) },
	} {
		if q, err := try(); err == nil || q != nil {
			t.Errorf("%s: got %v, %v", name, q, err)
		}
	}
}
