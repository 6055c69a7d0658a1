package daemon

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// mebibyte of memory.
const mebibyte = 1 << 20

// limitFor is the memory that a heap of so many live bytes should do with: a part of it and some for what is garbage until the next
// collection, and what the runtime, stacks and answers on their way need. While the heap grows, as at a start, collections are what
// takes the time, and there is more.
func limitFor(live uint64, settled bool) int64 {
	if settled {
		return int64(live + live/10 + 36*mebibyte)
	}
	return int64(live + live/8 + 40*mebibyte)
}

// settling tells a heap that stays as it is from one that still grows or shrinks.
type settling struct {
	live  uint64
	since time.Time
}

// settledAfter is how long a heap must have stayed within a part in settledWithin.
const (
	settledAfter  = time.Minute
	settledWithin = 32
)

// at takes the live bytes of a time, and says whether they have stayed for long enough.
func (s *settling) at(now time.Time, live uint64) bool {
	if off := max(live, s.live) - min(live, s.live); s.since.IsZero() || off > s.live/settledWithin {
		s.live, s.since = live, now
	}
	return now.Sub(s.since) >= settledAfter
}

// boundMemory keeps the process close to what it really keeps, by a soft limit that follows it. A daemon of a large fleet has
// hundreds of megabytes that live for days: at the runtime's own pace it would have as much garbage beside them, and give
// back little of what the start took. Who sets GOGC or GOMEMLIMIT knows better.
func boundMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(25)
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	go func() {
		var heap settling
		for {
			if runtimemetrics.Read(live); live[0].Value.Kind() == runtimemetrics.KindUint64 {
				bytes := live[0].Value.Uint64()
				debug.SetMemoryLimit(limitFor(bytes, heap.at(time.Now(), bytes)))
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
}
