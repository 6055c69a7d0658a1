package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// lane is one notifier's way: its events, in order, one at a time.
type lane struct {
	notifier  Notifier
	name      string
	options   Options
	metrics   *metrics
	log       zerolog.Logger
	events    chan Event
	abandoned atomic.Int64 // events dropped because the queue was closed
}

// push queues the event or drops it. The newest goes when the lane is full:
// what is told stays in order and without holes before that point.
func (l *lane) push(e Event) {
	// Counted before it is sent, so that the lane cannot take it back first.
	l.metrics.length.WithLabelValues(l.name).Inc()
	select {
	case l.events <- e:
	default:
		l.metrics.length.WithLabelValues(l.name).Dec()
		l.drop(e, dropFull, fmt.Errorf("%d events wait", l.options.Size))
	}
}

func (l *lane) drop(e Event, reason string, err error) {
	l.metrics.dropped.WithLabelValues(l.name, reason).Inc()
	l.log.Error().Err(err).Str("event", e.ID).Str("reason", reason).Msg("notification dropped")
}

// run tells events until the channel is closed and empty. Once ctx is done it
// only counts what is left.
func (l *lane) run(ctx context.Context) {
	for e := range l.events {
		l.tell(ctx, e)
		l.metrics.length.WithLabelValues(l.name).Dec()
	}
}

// tell makes attempts until the event is taken, refused, or given up.
func (l *lane) tell(ctx context.Context, e Event) {
	first := time.Now()
	for wait := l.options.BackoffMin; ; wait = min(2*wait, l.options.BackoffMax) {
		if ctx.Err() != nil {
			l.abandon(e, nil)
			return
		}
		err := l.attempt(ctx, e)
		if err == nil {
			l.metrics.delivered.WithLabelValues(l.name).Inc()
			l.metrics.lastSuccess.WithLabelValues(l.name).SetToCurrentTime()
			return
		}
		l.metrics.failures.WithLabelValues(l.name).Inc()
		pause := max(jitter(wait), min(retryAfter(err), l.options.BackoffMax))
		switch {
		case ctx.Err() != nil:
			l.abandon(e, err)
			return
		case isPermanent(err):
			l.drop(e, dropRefused, err)
			return
		case time.Since(first)+pause > l.options.GiveUpAfter:
			l.drop(e, dropExhausted, err)
			return
		}
		l.log.Warn().Err(err).Str("event", e.ID).Dur("retry_in", pause).Msg("notification failed")
		sleep(ctx, pause)
	}
}

func (l *lane) abandon(e Event, err error) {
	l.abandoned.Add(1)
	l.drop(e, dropClosed, err)
}

// attempt calls the notifier once. A panic in a client library must not end
// the daemon that rolls out, and is an error like any other.
func (l *lane) attempt(ctx context.Context, e Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.AttemptTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(err, fmt.Errorf("notifier panicked: %v", r))
		}
	}()
	return l.notifier.Notify(ctx, e)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// jitter spreads the attempts of many daemons that saw one outage begin.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
