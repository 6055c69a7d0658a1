package daemon

import (
	"context"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
)

// acceptEvery is how often the local edge looks without a reason: the speed limit lets a step through bit by bit.
const acceptEvery = 10 * time.Second

// acceptLocal does for the edge on this host what consul-template and a timer do elsewhere: it accepts after every
// document and every flag. It runs whether this process leads or not, so that a stop acts while nobody does.
func (d *Daemon) acceptLocal(ctx context.Context) {
	flags := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch(ctx, d.store, "flags/", func() { hint(flags) })
	}()
	defer func() { <-done }()
	last := ""
	for ctx.Err() == nil {
		d.mu.Lock()
		file, reloaded := d.site.cfg.Edges.Local, d.reloaded
		d.mu.Unlock()
		if file != "" {
			last = d.acceptOnce(ctx, file, last)
		}
		select {
		case <-ctx.Done():
		case <-reloaded:
		case <-flags:
		case <-d.published:
		case <-time.After(acceptEvery):
		}
	}
}

// acceptOnce accepts, and logs what is wrong when that is news.
func (d *Daemon) acceptOnce(ctx context.Context, file, last string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	said := ""
	cfg, err := edge.LoadConfig(file)
	if err == nil {
		var status edge.Status
		e := &edge.Edge{Config: cfg, Now: d.now, Store: func() (store.Store, error) { return d.store, nil }}
		status, err = e.Accept(ctx)
		said = status.Refused
	}
	if err != nil {
		said = err.Error()
	}
	switch {
	case said == last:
	case said == "":
		d.log.Info().Str("edge", file).Msg("the local edge accepts")
	default:
		d.log.Warn().Str("edge", file).Msg("the local edge does not accept: " + said)
	}
	return said
}
