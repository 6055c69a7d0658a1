// Package daemon wires sluiced: it reads the world, lets gate decide, and carries the decision out in transactions that
// only the leader can make.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/internal/api"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/web"
	"github.com/openinfrastructure/sluice/segments"
)

// Options are what sluiced is started with.
type Options struct {
	ConfigFile    string
	ListenAddress []string // overrides the configuration's where given
	WebConfigFile string
	AdminAPI      bool // the API carries out verbs
	Log           zerolog.Logger
	Version       string
}

// Daemon is one sluiced: it serves from the start, and leads while it holds the lease.
type Daemon struct {
	options  Options
	log      zerolog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	store    store.Store
	desk     store.Store // what the API writes to; nil is store
	web      *web.Server
	now      func() time.Time

	// last is the last document that this process saw in force; it is of the one goroutine that leads.
	last segments.Document

	collecting atomic.Pointer[collector] // the leader's, nil where this process does not lead
	querying   sync.Mutex                // held while PuppetDB is asked for somebody who asks why

	published chan struct{} // has a value when a document was written

	mu       sync.Mutex
	site     *site
	reloaded chan struct{} // closed when the site was replaced
	storeErr error
}

// New reads the configuration, connects, and binds the listen address. It does not need PuppetDB, Prometheus or
// Consul to be there; a configuration that cannot work is an error.
func New(o Options) (*Daemon, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	d := &Daemon{options: o, log: o.Log, registry: prometheus.NewRegistry(), now: time.Now, reloaded: make(chan struct{}), published: make(chan struct{}, 1),
		storeErr: errors.New("the store has not been read yet")}
	d.metrics = newMetrics(d.registry)
	if d.site, err = newSite(cfg, d.registry, o.Log); err != nil {
		return nil, fmt.Errorf("%s: %w", o.ConfigFile, err)
	}
	if d.store, err = OpenStore(cfg); err != nil {
		d.close()
		return nil, fmt.Errorf("%s: %w", o.ConfigFile, err)
	}
	if o.AdminAPI {
		if d.desk, err = openDesk(cfg); err != nil {
			d.close()
			return nil, fmt.Errorf("%s: %w", o.ConfigFile, err)
		}
	}
	listen := o.ListenAddress
	if len(listen) == 0 {
		listen = []string{cfg.Web.ListenAddress}
	}
	d.web, err = web.New(web.Options{ListenAddress: listen, WebConfigFile: o.WebConfigFile, Registry: d.registry,
		Ready: d.ready, Reload: d.reload, API: d.api(), Log: o.Log})
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// close ends what New and reloads began.
func (d *Daemon) close() {
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	d.current().close(ctx)
	for _, s := range []store.Store{d.store, d.desk} {
		if c, ok := s.(interface{ Close() }); ok {
			c.Close()
		}
	}
}

// api serves the store, and people's verbs where they are enabled.
func (d *Daemon) api() http.Handler {
	o := api.Options{Store: func() store.Store { return d.store }, Now: func() time.Time { return d.now() }, Log: d.log, Why: d.why}
	if d.options.AdminAPI {
		o.Desk = func() store.Store {
			if d.desk != nil {
				return d.desk
			}
			return d.store
		}
	}
	return api.New(o)
}

// Addr is the address that the daemon listens on.
func (d *Daemon) Addr() string { return d.web.Addr() }

// Reload reads the configuration again; a bad one keeps the old one in force.
func (d *Daemon) Reload() error { return d.web.Reload() }

func (d *Daemon) reload() error {
	cfg, err := config.Load(d.options.ConfigFile)
	if err != nil {
		return err
	}
	next, err := newSite(cfg, d.registry, d.log)
	if err != nil {
		return fmt.Errorf("%s: %w", d.options.ConfigFile, err)
	}
	d.mu.Lock()
	old := d.site
	d.site = next
	close(d.reloaded)
	d.reloaded = make(chan struct{})
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	old.release(ctx) // the leader may be telling its last events
	old.close(ctx)
	return nil
}

func (d *Daemon) current() *site {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.site
}

func (d *Daemon) ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.storeErr
}

// Run serves and, whenever it holds the lease, leads, until ctx ends.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { d.watchStore(ctx) })
	wg.Go(func() { d.lead(ctx) })
	wg.Go(func() { d.acceptLocal(ctx) })
	err := d.web.Run(ctx)
	cancel()
	wg.Wait()
	d.close()
	return err
}

// watchStore keeps readiness current: a daemon that cannot read the store is alive and of no use.
func (d *Daemon) watchStore(ctx context.Context) {
	for {
		_, err := d.store.Get(ctx, tree.InitKey)
		if errors.Is(err, store.ErrNotFound) {
			err = tree.ErrNotInitialised
		}
		d.mu.Lock()
		d.storeErr = err
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// lead campaigns for the lease and leads while it is held, for ever.
func (d *Daemon) lead(ctx context.Context) {
	who := hostname()
	for ctx.Err() == nil {
		lease, err := d.store.Campaign(ctx, tree.LeaderKey, who)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Error().Err(err).Msg("cannot campaign for the lead")
				pause(ctx, 5*time.Second)
			}
			continue
		}
		d.log.Info().Str("who", who).Msg("leading")
		d.metrics.leader.Set(1)
		d.hold(ctx, lease)
		d.metrics.leader.Set(0)
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := lease.Release(end); err != nil {
			d.log.Warn().Err(err).Msg("cannot release the lead")
		}
		cancel()
		d.log.Info().Msg("no longer leading")
	}
}

// hold leads with one configuration after the other until the lease is lost.
func (d *Daemon) hold(ctx context.Context, lease store.Lease) {
	for ctx.Err() == nil {
		select {
		case <-lease.Lost():
			return
		default:
		}
		d.mu.Lock()
		s, reloaded := d.site, d.reloaded
		s.users.Add(1)
		d.mu.Unlock()
		d.leadWith(ctx, lease, s, reloaded)
		s.users.Done()
	}
}

func (d *Daemon) leadWith(ctx context.Context, lease store.Lease, s *site, reloaded <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake := make(chan struct{}, 1)
	poke := func() { hint(wake) }
	c := newCollector(s.cfg, s.pdb, s.prom, d.log, d.now, poke, d.oldestRollout)
	c.resume()
	d.collecting.Store(c)
	defer d.collecting.Store(nil)
	l := newLeader(d.store, lease, s, c, d.metrics, d.log, d.now)
	l.lastDocument, l.published = d.last, func() { hint(d.published) }
	defer func() { d.last = l.lastDocument }()
	var wg sync.WaitGroup
	wg.Go(func() { c.run(ctx) })
	for _, prefix := range []string{"flags/", "requests/", "holds/", "pins/", "vetoes/"} {
		wg.Go(func() { watch(ctx, d.store, prefix, poke) })
	}
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-reloaded:
			cancel()
		}
	})
	l.run(ctx, wake)
	cancel()
	wg.Wait()
}

// oldestRollout is when the oldest rollout under way admitted its first node.
func (d *Daemon) oldestRollout(ctx context.Context) (time.Time, error) {
	snap, err := tree.Read(ctx, d.store)
	if err != nil {
		return time.Time{}, err
	}
	return oldest(snap), nil
}

func oldest(snap *tree.Snapshot) time.Time {
	var first time.Time
	for i := range snap.Rollouts {
		s := &snap.Rollouts[i].State
		if s.Phase.Active() && len(s.Stages) > 0 && (first.IsZero() || s.Stages[0].Since.Before(first)) {
			first = s.Stages[0].Since
		}
	}
	return first
}

// watch pokes whenever something below prefix may have changed, so that a flag acts at once.
func watch(ctx context.Context, s store.Store, prefix string, poke func()) {
	for ctx.Err() == nil {
		_, index, err := s.List(ctx, prefix)
		if err == nil {
			_, err = s.Watch(ctx, prefix, index)
		}
		if err != nil {
			pause(ctx, 2*time.Second)
			continue
		}
		poke()
	}
}

// hint wakes whoever waits on c, once.
func hint(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
