package consul

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const ttl = 10 * time.Second

// keep runs a keeper in a bubble against answers to its renewals, and returns when
// it lost the session, 0 if it did not within the time given.
func keep(t *testing.T, within time.Duration, renew func(ctx context.Context, since time.Duration) error) (lostAfter time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		var once sync.Once
		lost := make(chan struct{})
		k := keeper{
			ttl:   ttl,
			renew: func(ctx context.Context) error { return renew(ctx, time.Since(start)) },
			lose: func(reason error) {
				if !errors.Is(reason, errSessionEnded) {
					t.Errorf("reason %v, want %v", reason, errSessionEnded)
				}
				once.Do(func() { lostAfter = time.Since(start); close(lost) })
			},
		}
		ended := make(chan struct{})
		go func() { k.run(ctx, start); close(ended) }()
		select {
		case <-lost:
			// Nothing may bring it back, and nothing may go on for it.
			<-ended
		case <-ended:
		}
	})
	return lostAfter
}

var errRefused = errors.New("connection refused")

func TestKeeper(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, c := range []struct {
		what  string
		renew func(ctx context.Context, since time.Duration) error
		want  time.Duration
	}{
		{"renewed", func(context.Context, time.Duration) error { return nil }, 0},
		{"gone at the first renewal", func(context.Context, time.Duration) error { return errSessionEnded }, ttl / 2},
		{"never answered", func(ctx context.Context, _ time.Duration) error { return hang(ctx) }, ttl},
		{"always refused", func(context.Context, time.Duration) error { return errRefused }, ttl},
		{"answered once", func(_ context.Context, since time.Duration) error {
			if since <= ttl/2 {
				return nil
			}
			return errRefused
		}, ttl/2 + ttl},
		{"slow answers count from when they were asked for", func(_ context.Context, since time.Duration) error {
			if since > ttl {
				return errRefused
			}
			time.Sleep(ttl / 10)
			return nil
		}, 2 * ttl},
		{"one bad moment", func(_ context.Context, since time.Duration) error {
			if since%(4*ttl) < 2*time.Second {
				return errRefused
			}
			return nil
		}, 0},
		{"an answer after belief has ended", func(context.Context, time.Duration) error {
			time.Sleep(ttl) // deaf to its context
			return nil
		}, ttl},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := keep(t, 20*ttl, c.renew); got != c.want {
				t.Errorf("lost after %v, want %v (0: never)", got, c.want)
			}
		})
	}
}

// TestKeeperLate: a session whose creation was answered after its time to live must
// not be believed in at all.
func TestKeeperLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan error, 2)
		k := keeper{
			ttl:   ttl,
			renew: func(context.Context) error { t.Error("renewed a dead session"); return nil },
			lose:  func(reason error) { lost <- reason },
		}
		start := time.Now()
		k.run(t.Context(), start.Add(-ttl))
		if err := <-lost; !errors.Is(err, errSessionEnded) || time.Since(start) != 0 {
			t.Errorf("lost with %v after %v, want it at once", err, time.Since(start))
		}
	})
}
