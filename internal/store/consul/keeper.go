package consul

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errSessionEnded: the session is gone and will not come back.
var errSessionEnded = errors.New("session ended")

// keeper keeps a session alive and knows how long it may be believed in.
//
// Consul starts the time to live anew when a renewal arrives, which is never before
// it was sent. So the session lives at least until ttl after the last successful
// renewal was sent, and belief ends exactly there by the local clock, whatever the
// requests under way do.
type keeper struct {
	ttl   time.Duration
	renew func(context.Context) error // errSessionEnded is final, other errors are tried again
	lose  func(reason error)          // may be called from another goroutine, and twice
}

// run renews until ctx ends or the session is lost. sent is when the request that
// created the session was sent.
func (k keeper) run(ctx context.Context, sent time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	belief := time.AfterFunc(time.Until(sent.Add(k.ttl)), func() {
		k.lose(fmt.Errorf("%w: not renewed for %v", errSessionEnded, k.ttl))
		cancel()
	})
	defer belief.Stop()

	pause := time.NewTimer(k.ttl / 2)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		sent, err := k.once(ctx)
		switch {
		case err == nil:
			// Not after belief has ended: a lease that was lost stays lost.
			if !belief.Stop() {
				return
			}
			belief.Reset(time.Until(sent.Add(k.ttl)))
			pause.Reset(time.Until(sent.Add(k.ttl / 2)))
		case errors.Is(err, errSessionEnded):
			k.lose(err)
			return
		default:
			pause.Reset(k.ttl / 10)
		}
	}
}

// once is one renewal, short enough for a second one before belief ends.
func (k keeper) once(ctx context.Context) (sent time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.ttl/5)
	defer cancel()
	sent = time.Now()
	return sent, k.renew(ctx)
}
