package daemon

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/siteenc"
)

// encData asks the site's own ENC about nodes, and remembers what it said. Its answers are attributes (enc.*) and
// say which track a node is on.
type encData struct {
	cfg  *config.ENC
	mu   sync.Mutex
	said map[string]encAnswer
}

type encAnswer struct {
	at    time.Time
	known bool           // it answered once; a failure keeps the answer before it
	data  map[string]any // environment, classes, and every parameter by its name
	err   error
}

func newENCData(cfg *config.ENC) *encData { return &encData{cfg: cfg, said: map[string]encAnswer{}} }

// refresh asks about every node whose answer is older than the configured time, a few at once.
func (e *encData) refresh(ctx context.Context, certnames []string, now time.Time) {
	if e.cfg == nil {
		return
	}
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(e.cfg.Concurrency)
	for _, certname := range certnames {
		if a := e.get(certname); !a.at.IsZero() && now.Sub(a.at) < time.Duration(e.cfg.Refresh) && a.err == nil {
			continue
		}
		g.Go(func() error {
			data, err := siteenc.Ask(each, *e.cfg, certname)
			if each.Err() != nil {
				return nil
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			a := e.said[certname]
			a.at, a.err = now, err
			if err == nil {
				a.data, a.known = data, true
			}
			e.said[certname] = a
			return nil
		})
	}
	_ = g.Wait()
	if ctx.Err() != nil {
		return // not all have been asked
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	// Whoever is in the fleet was asked again before that.
	maps.DeleteFunc(e.said, func(_ string, a encAnswer) bool { return now.Sub(a.at) > 2*time.Duration(e.cfg.Refresh) })
}

func (e *encData) get(certname string) encAnswer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said[certname]
}
