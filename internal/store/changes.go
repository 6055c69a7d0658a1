package store

import (
	"context"
	"sync"
	"time"
)

// retry is how long Changes waits after an error.
const retry = 2 * time.Second

// Changes reports that something below one of the prefixes may have changed, at most one report in waiting. wait
// returns when its goroutines have ended, which they do after ctx.
func Changes(ctx context.Context, s Store, prefixes ...string) (<-chan struct{}, func()) {
	changed := make(chan struct{}, 1)
	var all sync.WaitGroup
	for _, prefix := range prefixes {
		all.Go(func() {
			for index := uint64(0); ctx.Err() == nil; {
				next, err := s.Watch(ctx, prefix, index)
				if err != nil {
					select {
					case <-ctx.Done():
					case <-time.After(retry):
					}
					next = 0 // look again at once: a change may have been missed
				}
				if index = next; err == nil {
					select {
					case changed <- struct{}{}:
					default: // one is in waiting already
					}
				}
			}
		})
	}
	return changed, all.Wait
}
