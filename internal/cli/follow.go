package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// retry is the wait before the store is asked again after an error.
const retry = 2 * time.Second

// follower shows one rollout over time, or all that are under way.
type follower struct {
	p       *program
	name    string // "" is all that are under way
	out     format
	w       io.Writer
	errOut  io.Writer
	look    *look
	screen  *screen // nil: not a terminal, a line is written for every change
	names   []string
	last    map[string]string // what was written last of each rollout
	final   string            // what a screen leaves behind
	snap    *tree.Snapshot    // the last good one
	trouble string            // why it is not the present one
	mend    <-chan time.Time  // when to ask again
}

// run returns the exit code once the rollouts have ended; an error that no waiting mends ends it too.
func (f *follower) run(ctx context.Context, s store.Store) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	prefix := "rollouts/"
	if f.name != "" {
		prefix += f.name + "/"
	}
	changes, wait := store.Changes(ctx, s, prefix, "flags/", "requests/")
	defer wait()
	defer cancel()
	ticks, resized := f.ticks(ctx), f.screen.resizes(ctx)
	for {
		if err := f.read(ctx, s); err != nil {
			return ExitError, err
		}
		for {
			ended, code, err := f.show()
			if err != nil {
				return ExitError, err
			}
			if ended {
				return code, nil
			}
			if again, err := f.wait(ctx, changes, ticks, resized); err != nil || again {
				if err != nil {
					return ExitError, err
				}
				break
			}
		}
	}
}

// wait says whether the store is to be read again; if not, it is only that time has passed, or the screen is another one.
func (f *follower) wait(ctx context.Context, changes <-chan struct{}, ticks <-chan time.Time, resized <-chan os.Signal) (again bool, err error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-changes:
		return true, nil
	case <-f.mend:
		return true, nil
	case <-ticks:
	case <-resized:
		f.screen.forget()
		f.look.width = f.screen.columns()
		f.look.least, f.look.head = nil, 0
	}
	return false, nil
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

// show draws what is known, and says whether all of it has ended and with which exit code.
func (f *follower) show() (ended bool, code int, err error) {
	if f.snap == nil {
		return false, 0, nil
	}
	now := f.p.now()
	views, waits, err := f.views(now)
	if err != nil {
		return false, 0, err
	}
	ended = waits == ""
	for _, v := range views {
		ended = ended && v.Phase.Ended()
		code = max(code, v.Exit)
	}
	switch {
	case f.out != "text":
		err = f.documents(views)
	case f.screen == nil:
		err = f.lines(views, waits, now)
	default:
		err = f.draw(views, waits, now)
	}
	return ended, code, err
}

// views are of the rollout that is followed, or of all that are under way or were since it began. waits says what is
// still to begin.
func (f *follower) views(now time.Time) (views []rolloutView, waits string, err error) {
	if f.name != "" {
		r, err := find(f.snap, f.name)
		if err == nil {
			return []rolloutView{viewOf(f.snap, r, now)}, "", nil
		}
		var e *exitError
		if errors.As(err, &e) && e.code == ExitHeld { // requested: it may begin yet
			return nil, e.text, nil
		}
		return nil, "", err
	}
	for i := range f.snap.Rollouts {
		r := &f.snap.Rollouts[i]
		if !r.State.Phase.Ended() && !slices.Contains(f.names, r.Spec.Name) {
			f.names = append(f.names, r.Spec.Name)
		}
		if slices.Contains(f.names, r.Spec.Name) {
			views = append(views, viewOf(f.snap, r, now))
		}
	}
	for id, q := range f.snap.Requests {
		if q.Kind == tree.RequestStart && q.Refused == "" {
			waits = fmt.Sprintf("%s is requested by %s since %s; no leader has taken it up yet", id, q.By, utc(q.At))
		}
	}
	return views, waits, nil
}

// draw puts all of it on the screen.
func (f *follower) draw(views []rolloutView, waits string, now time.Time) error {
	var b strings.Builder
	renderAll(&b, f.look, views, waits, now)
	text := b.String()
	b.Reset()
	last := *f.look
	last.least, last.head = nil, 0 // what is left behind does not change any more
	renderAll(&b, &last, views, waits, now)
	f.final = b.String()
	if f.trouble != "" {
		text = f.look.paint(red, fit("not up to date: "+safe(f.trouble), max(f.look.width, 40))) + "\n" + text
	}
	return f.screen.draw(text)
}

// lines writes a line for every rollout that has changed.
func (f *follower) lines(views []rolloutView, waits string, now time.Time) error {
	for _, v := range views {
		if key := v.changed(); f.news(v.Name, key) {
			if _, err := fmt.Fprintln(f.w, v.line(now)); err != nil {
				return err
			}
		}
	}
	if waits == "" && len(views) == 0 {
		waits = nothingUnderWay
	}
	if waits != "" && f.news("", waits) {
		_, err := fmt.Fprintln(f.w, waits)
		return err
	}
	return nil
}

func (f *follower) news(name, text string) bool {
	if f.last == nil {
		f.last = map[string]string{}
	}
	if f.last[name] == text {
		return false
	}
	f.last[name] = text
	return true
}

// documents writes JSON as one line a change, and YAML as one document a change.
func (f *follower) documents(views []rolloutView) error {
	for _, v := range views {
		data, err := json.Marshal(v)
		if err == nil && f.out == "yaml" {
			data, err = toYAML(v)
			data = append([]byte("---\n"), data...)
		} else {
			data = append(data, '\n')
		}
		if err != nil {
			return err
		}
		if f.news(v.Name, string(data)) {
			if _, err := f.w.Write(data); err != nil {
				return err
			}
		}
	}
	return nil
}
