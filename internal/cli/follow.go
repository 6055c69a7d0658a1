package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// retry is the wait before the store is asked again after an error.
const retry = 2 * time.Second

// follower shows one rollout over time.
type follower struct {
	p       *program
	name    string
	out     format
	w       io.Writer
	errOut  io.Writer
	painter painter
	screen  *screen // nil: not a terminal, every change is written below the one before
	last    string
	snap    *tree.Snapshot   // the last good one
	trouble string           // why it is not the present one
	mend    <-chan time.Time // when to ask again
}

// run returns the exit code once the rollout has ended; an error that no waiting mends ends it too.
func (f *follower) run(ctx context.Context, s store.Store) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	changes, wait := changes(ctx, s, "rollouts/"+f.name+"/", "flags/", "requests/")
	defer wait()
	defer cancel()
	ticks := f.ticks(ctx)
	for {
		if err := f.read(ctx, s); err != nil {
			return ExitError, err
		}
		for {
			v, err := f.show()
			if err != nil {
				return ExitError, err
			}
			if v != nil && v.Phase.Ended() {
				return v.Exit, nil
			}
			if again, err := f.wait(ctx, changes, ticks); err != nil || again {
				if err != nil {
					return ExitError, err
				}
				break
			}
		}
	}
}

// wait says whether the store is to be read again; if not, it is only that time has passed.
func (f *follower) wait(ctx context.Context, changes <-chan struct{}, ticks <-chan time.Time) (again bool, err error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-changes:
		return true, nil
	case <-f.mend:
		return true, nil
	case <-ticks:
		return false, nil
	}
}

// ticks keeps ages on a screen going; elsewhere only changes are written.
func (f *follower) ticks(ctx context.Context) <-chan time.Time {
	if f.screen == nil {
		return nil
	}
	t := time.NewTicker(time.Second)
	context.AfterFunc(ctx, t.Stop)
	return t.C
}

func (f *follower) read(ctx context.Context, s store.Store) error {
	snap, err := tree.Read(ctx, s)
	switch {
	case err == nil:
		f.snap, f.trouble, f.mend = snap, "", nil
		return nil
	case errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil:
		f.trouble, f.mend = err.Error(), time.After(retry)
		if f.screen == nil {
			fmt.Fprintln(f.errOut, "sluice:", err)
		}
		return nil
	}
	return err
}

// show draws what is known; nil where nothing is yet.
func (f *follower) show() (*rolloutView, error) {
	if f.snap == nil {
		return nil, nil
	}
	r, err := find(f.snap, f.name)
	if err != nil {
		var e *exitError
		if errors.As(err, &e) && e.code == ExitHeld { // requested: it may begin yet
			return nil, f.write(e.text + "\n")
		}
		return nil, err
	}
	now := f.p.now()
	v := viewOf(f.snap, r, now)
	if f.out != "text" {
		return &v, f.document(v)
	}
	var b strings.Builder
	renderStatus(&b, f.painter, v, now)
	return &v, f.write(b.String())
}

func (f *follower) write(text string) error {
	if f.screen != nil {
		if f.trouble != "" {
			text = f.painter.paint(red, "not up to date: "+safe(f.trouble)) + "\n" + text
		}
		return f.screen.draw(text)
	}
	if f.out != "text" || text == f.last {
		return nil
	}
	if f.last != "" {
		text = "\n" + text
	}
	f.last = strings.TrimPrefix(text, "\n")
	_, err := io.WriteString(f.w, text)
	return err
}

// document writes JSON as one line a change, and YAML as one document a change.
func (f *follower) document(v rolloutView) error {
	data, err := json.Marshal(v)
	if err == nil && f.out == "yaml" {
		data, err = toYAML(v)
		data = append([]byte("---\n"), data...)
	} else {
		data = append(data, '\n')
	}
	if err != nil || string(data) == f.last {
		return err
	}
	f.last = string(data)
	_, err = f.w.Write(data)
	return err
}

// changes reports that something below one of the prefixes may have changed, at most one report in waiting. wait
// returns when its goroutines have ended, which they do after ctx.
func changes(ctx context.Context, s store.Store, prefixes ...string) (<-chan struct{}, func()) {
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
