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

// limitFor is the memory that a heap of so many live bytes should do with: an eighth and some for what is garbage until the
// next collection, and what the runtime, stacks and answers on their way need.
func limitFor(live uint64) int64 { return int64(live + live/8 + 40*mebibyte) }

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
		for {
			if runtimemetrics.Read(live); live[0].Value.Kind() == runtimemetrics.KindUint64 {
				debug.SetMemoryLimit(limitFor(live[0].Value.Uint64()))
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
}
