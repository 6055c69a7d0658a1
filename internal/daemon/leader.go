package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// leader looks at everything, again and again, and carries out what gate.Decide says, for as long as it holds the lease.
type leader struct {
	store     store.Store
	lease     store.Lease
	site      *site
	collector *collector
	sets      *sets
	log       zerolog.Logger
	now       func() time.Time
	metrics   *metrics

	published    func()            // is told of every document written
	lastDocument segments.Document // the last one seen whole
	statuses     map[string]tree.Status
	rosters      map[string]*roster
	tracks       map[string]*trackCache
	grown        map[string]grown // by track
	resolutions  map[string]*resolution
	lists        map[string]listed // by query
	keepers      map[string]*keeper
	comings      map[string]*gate.Coming // by rollout
	edges        map[string]heard
	audited      map[string]bool // hashes of the entries in the local file
	conflicts    int             // looks in a row that somebody else's write came between
	freezes      freezes
	tidier       tidier
	lastError    string
	told         bool // the store has lastError
	unfolded     bool // it was said that directories cannot be made
}

func newLeader(s store.Store, lease store.Lease, site *site, c *collector, m *metrics, log zerolog.Logger, now func() time.Time) *leader {
	return &leader{store: s, lease: lease, site: site, collector: c, sets: &sets{store: s, have: map[string]segments.Set{}},
		log: log, now: now, metrics: m, published: func() {}, statuses: map[string]tree.Status{}, rosters: map[string]*roster{}, tracks: map[string]*trackCache{}, grown: map[string]grown{},
		resolutions: map[string]*resolution{}, lists: map[string]listed{}, keepers: map[string]*keeper{}, comings: map[string]*gate.Coming{}, edges: map[string]heard{}}
}

// mostConflicts is how often in a row a look is taken again at once because of another one's write.
const mostConflicts = 5

// run looks until ctx ends or the lease is lost.
func (l *leader) run(ctx context.Context, wake <-chan struct{}) {
	interval := time.Duration(l.site.cfg.Controller.Interval)
	for {
		start := l.now()
		again, err := l.look(ctx)
		l.metrics.look(l.now().Sub(start), err)
		l.complain(ctx, err)
		wait := interval
		if again {
			wait = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.lease.Lost():
			timer.Stop()
			return
		case <-wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// complain logs an error once, and its end, and tells people who ask the store.
func (l *leader) complain(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text != "" && text != l.lastError:
		l.log.Error().Err(err).Msg("nothing goes forward")
	case text == "" && l.lastError != "":
		l.log.Info().Msg("looking again")
	}
	if text != l.lastError || !l.told { // the first time, too: another leader may have left its own
		t := tree.Trouble{}
		if text != "" {
			t = tree.Trouble{Since: l.now().UTC(), Leader: l.lease.Who(), Error: text}
		}
		if data, err := json.Marshal(t); err == nil {
			l.told = l.store.Txn(ctx, l.lease.Check(), store.Set(tree.TroubleKey, data)) == nil // or it is the store that is in trouble
		}
	}
	l.lastError = text
}

// look takes one look at everything and one step. again says that the world is known to have changed by it.
func (l *leader) look(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	snap, err := tree.Read(ctx, l.store)
	if err != nil {
		return false, err
	}
	l.collector.remember(oldest(snap))
	c := &change{leader: l, snap: snap, now: l.now().UTC()}
	if err := c.repairable(); err != nil {
		return false, err
	}
	c.stops()
	c.takeRequests()
	l.askAhead(ctx, c)
	world, fleets, d, err := l.weigh(ctx, c)
	if err != nil {
		return false, err
	}
	if err := c.apply(ctx, d, fleets); err != nil {
		var conflict *store.ConflictError
		if l.conflicts++; errors.As(err, &conflict) && conflict.Key != tree.LeaderKey && l.conflicts <= mostConflicts {
			return true, nil // somebody wrote in between: look again
		}
		return false, err // without the lease, or against a key that never gives way, there is no sense in that
	}
	l.conflicts = 0
	l.folders(snap)
	l.publishStatus(ctx, c, d, world)
	l.notify(ctx, snap)
	if c.halt == "" { // what a restored store does not name, it may yet
		l.tidy(ctx, snap, c.now)
	}
	l.metrics.world(world, d, c.snap.Document)
	return len(d.States) > 0, nil
}

// weigh gathers the world and decides. No report is taken over meanwhile: what is judged is what is written down.
func (l *leader) weigh(ctx context.Context, c *change) (gate.World, map[string]*tracked, gate.Decision, error) {
	ledger := l.collector.ledger
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	world, fleets, err := l.world(ctx, c)
	if lost := l.sets.complete(); lost != nil {
		// Rosters and courses were made with it: they are made anew, as by a new leader.
		clear(l.rosters)
		clear(l.tracks)
		ledger.drop(func(string) bool { return false })
		err = errors.Join(err, lost)
	}
	if err != nil {
		return world, nil, gate.Decision{}, err
	}
	l.sets.sweep(c.snap.Document.Sets)
	ledger.drop(func(name string) bool {
		r := c.snap.Rollout(name)
		return r != nil && r.State.Phase.Active()
	})
	maps.DeleteFunc(l.rosters, func(name string, _ *roster) bool {
		r := c.snap.Rollout(name)
		return r == nil || r.State.Phase.Ended()
	})
	maps.DeleteFunc(l.comings, func(name string, _ *gate.Coming) bool { return l.rosters[name] == nil })
	maps.DeleteFunc(l.keepers, func(key string, k *keeper) bool {
		name, _, _ := strings.Cut(key, "/")
		return l.rosters[name] != k.roster
	})
	maps.DeleteFunc(l.resolutions, func(_ string, k *resolution) bool { return l.rosters[k.rollout] != k.roster })
	if l.collector.nodes() != nil {
		l.collector.once.Do(func() { close(l.collector.enlisted) })
	}
	d, err := c.decide(ctx, &world)
	return world, fleets, d, err
}
