package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// collector reads the world that rollouts are judged by: reports, nodes and the site's ENC data. It runs beside the
// leader's loop, so that a PuppetDB that hangs never delays a stop.
type collector struct {
	cfg    *config.Config
	pdb    *puppetdb.Client
	prom   *sli.Client // nil where there is none
	enc    *encData
	ledger *ledger
	log    zerolog.Logger
	now    func() time.Time
	wake   func()
	// since says when the oldest rollout under way began, the zero time without one: what happened since then is
	// evidence, however long ago it is.
	since func(context.Context) (time.Time, error)

	// classes asks PuppetDB about a class in the catalogs of nodes.
	classes func(ctx context.Context, title string, certnames []string) (map[string]puppetdb.Class, error)
	// metrics asks PuppetDB for the reports of nodes with their metrics.
	metrics func(ctx context.Context, certnames []string, from, to time.Time, fn func(puppetdb.Report, []puppetdb.Metric) error) error

	// enlisted is closed when the rollouts under way have their courses: reports are counted from then on.
	enlisted chan struct{}
	once     sync.Once

	resumed *savedHeader // of a file that was taken up, until the feed begins
	savedAt time.Time    // of the file, or of the first poll
	forgot  time.Time    // when nodes that are gone were looked for

	mu        sync.Mutex
	feed      *puppetdb.Feed
	inventory *inventory
	through   time.Time
	reached   time.Time // through, at the poll before
	polled    time.Time // last poll that succeeded whole
	problems  map[string]string
	reports   uint64
	oldest    time.Time // first admission of the oldest rollout under way
	asked     []string  // attributes that selectors ask for
	reread    chan struct{}
}

// ask has the inventory read anew if it lacks attributes that somebody asks for, and says which.
func (c *collector) ask(attributes []string) (lacking []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := slices.Concat(c.asked, attributes)
	slices.Sort(asked)
	c.asked = slices.Compact(asked)
	if c.inventory == nil {
		return nil // said elsewhere
	}
	if lacking = c.inventory.lacks(attributes); len(lacking) > 0 {
		hint(c.reread)
	}
	return lacking
}

func newCollector(cfg *config.Config, pdb *puppetdb.Client, prom *sli.Client, log zerolog.Logger, now func() time.Time, wake func(), since func(context.Context) (time.Time, error)) *collector {
	ledger := newLedger(now)
	ledger.proof, ledger.measured = cfg.PuppetDB.Proof != config.ProofRun, cfg.PuppetDB.Measured
	return &collector{cfg: cfg, classes: pdb.Classes, metrics: pdb.Measured, pdb: pdb, prom: prom, enc: newENCData(cfg.ENC), ledger: ledger, log: log, now: now, wake: wake, since: since,
		enlisted: make(chan struct{}), reread: make(chan struct{}, 1), asked: attributesOf(configured(cfg)), problems: map[string]string{}}
}

// configured lists the selectors of a configuration.
func configured(cfg *config.Config) (out []string) {
	for _, s := range cfg.Segments {
		out = append(out, s.Selector)
	}
	return out
}

// What problems are told of.
const (
	sourceReports   = "PuppetDB reports"
	sourceInventory = "PuppetDB inventory"
)

// run polls until ctx ends.
func (c *collector) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, loop := range []struct {
		every time.Duration
		do    func(context.Context) error
		name  string
	}{
		{time.Duration(c.cfg.PuppetDB.PollInterval), c.poll, sourceReports},
		{time.Duration(c.cfg.PuppetDB.Inventory), c.readInventory, sourceInventory},
	} {
		wg.Go(func() {
			if loop.name == sourceReports {
				select {
				case <-c.enlisted:
				case <-ctx.Done():
					return
				}
				defer c.saveIfDue(true)
			}
			for {
				err := loop.do(ctx)
				if ctx.Err() != nil {
					return
				}
				c.note(loop.name, err)
				wait := loop.every
				if err == nil && loop.name == sourceReports && c.catchingUp() {
					wait = 0 // a new leader reads what it missed in one go
				}
				if err != nil {
					wait = min(wait, 10*time.Second)
				}
				reread := c.reread
				if loop.name != sourceInventory {
					reread = nil
				}
				select {
				case <-ctx.Done():
					return
				case <-reread:
				case <-time.After(wait):
				}
			}
		})
	}
	wg.Wait()
}

// catchingUp says whether the last poll came forward and there is more of the past to read.
func (c *collector) catchingUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	forward := c.through.After(c.reached)
	c.reached = c.through
	return forward && c.now().Sub(c.through) > time.Duration(c.cfg.PuppetDB.Overlap)+10*time.Minute
}

func (c *collector) note(source string, err error) {
	c.mu.Lock()
	was := c.problems[source]
	delete(c.problems, source)
	if err != nil {
		c.problems[source] = source + ": " + err.Error()
	}
	now := c.problems[source]
	c.mu.Unlock()
	switch {
	case now != "" && now != was:
		c.log.Warn().Msg(now)
	case now == "" && was != "":
		c.log.Info().Msg(source + ": back in order")
	}
	c.wake()
}

// poll reads PuppetDB's state, what is new in the feed, and the details of failed runs.
func (c *collector) poll(ctx context.Context) error {
	status, err := c.pdb.Status(ctx)
	switch {
	case err != nil:
		return err
	case status.Maintenance:
		return errors.New("PuppetDB is in maintenance mode")
	case status.State != "running" || !status.ReadUp || !status.WriteUp:
		return fmt.Errorf("PuppetDB is %s, reads up %v, writes up %v", status.State, status.ReadUp, status.WriteUp)
	}
	if c.feed == nil {
		if err := c.newFeed(ctx); err != nil {
			return err
		}
	}
	reports := 0
	batch, err := c.feed.PollEach(ctx, c.now(), func(fresh []puppetdb.Report) {
		reports += len(fresh)
		// Nobody looks at a failure before it is known what failed, unless PuppetDB does not say.
		found, err := c.pdb.Details(ctx, failedOf(fresh))
		if err != nil {
			found = nil // asked for again below
		}
		c.ledger.add(fresh, found)
	})
	if err != nil {
		if strings.Contains(err.Error(), "clock") {
			c.feed = nil // only a new feed mends a clock that went back
		}
		return err
	}
	c.mu.Lock()
	horizon := c.horizon(c.now().Add(-8 * 24 * time.Hour))
	c.through = batch.Through
	c.reports += uint64(reports)
	c.mu.Unlock()
	c.ledger.forget(horizon)
	c.forgetGone()
	missing := c.ledger.wanted()
	if batch.Incomplete != nil {
		return batch.Incomplete
	}
	if err := c.details(ctx, missing); err != nil {
		return err
	}
	if err := c.prove(ctx); err != nil {
		return err
	}
	if err := c.measure(ctx); err != nil {
		return err
	}
	if status.QueueDepth > c.cfg.PuppetDB.MaxQueueDepth {
		return fmt.Errorf("%d commands wait in PuppetDB's queue, more than %d", status.QueueDepth, c.cfg.PuppetDB.MaxQueueDepth)
	}
	c.mu.Lock()
	c.polled = c.now()
	c.mu.Unlock()
	c.saveIfDue(false)
	return nil
}

// before24h is how much history the judge looks at before a rollout began.
const before24h = 24 * time.Hour

// horizon, called with the lock held, is the time before which nothing is needed: History back from now, or a day (and
// no more than History) before the oldest rollout under way.
func (c *collector) horizon(now time.Time) time.Time {
	history := time.Duration(c.cfg.PuppetDB.History)
	h := now.Add(-history)
	if c.oldest.IsZero() {
		return h
	}
	if before := c.oldest.Add(-c.lookBack()); before.Before(h) {
		return before
	}
	return h
}

// lookBack is how long before its first admission a rollout's evidence begins.
func (c *collector) lookBack() time.Duration {
	return min(time.Duration(c.cfg.PuppetDB.History), before24h)
}

// remember tells the collector which rollout under way is the oldest.
func (c *collector) remember(oldest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oldest = oldest
}

func (c *collector) newFeed(ctx context.Context) error {
	oldest, err := c.since(ctx)
	if err != nil {
		return fmt.Errorf("when the oldest rollout began: %w", err)
	}
	c.remember(oldest)
	overlap := time.Duration(c.cfg.PuppetDB.Overlap)
	// With slices as long as the time between two polls hardly a report is read twice.
	o := puppetdb.Options{Overlap: overlap, Exact: max(overlap, time.Hour), Horizon: max(overlap, 6*time.Hour), Width: min(max(time.Duration(c.cfg.PuppetDB.PollInterval).Truncate(time.Millisecond), 15*time.Second), time.Minute)}
	if overlap < time.Minute {
		o.Width = max(overlap/4, time.Second)
	}
	c.mu.Lock()
	start := c.horizon(c.now())
	c.mu.Unlock()
	feed := c.feedFrom(start, o)
	if feed == nil {
		if feed, err = puppetdb.NewFeed(c.pdb, start, o); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.feed = feed
	c.mu.Unlock()
	return nil
}

func (c *collector) details(ctx context.Context, missing []string) error {
	for chunk := range slices.Chunk(missing, 200) {
		found, err := c.pdb.Details(ctx, chunk)
		if err != nil {
			return fmt.Errorf("details of failed runs: %w", err)
		}
		c.ledger.detail(chunk, found)
	}
	return nil
}

func (c *collector) readInventory(ctx context.Context) error {
	c.mu.Lock()
	asked, last := c.asked, c.inventory
	c.mu.Unlock()
	inv, err := readInventory(ctx, c.pdb, c.enc, asked, last, c.now())
	if err != nil {
		return err
	}
	c.ledger.expect(inv)
	c.mu.Lock()
	c.inventory = inv
	c.mu.Unlock()
	return nil
}

// sources says whether what was read is whole and recent enough to go on by.
func (c *collector) sources(now time.Time) analyzer.Sources {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := analyzer.Sources{Through: c.through}
	for _, p := range c.problems {
		s.Reasons = append(s.Reasons, p)
	}
	poll, lag := time.Duration(c.cfg.PuppetDB.PollInterval), time.Duration(c.cfg.PuppetDB.MaxLag)
	switch {
	case c.polled.IsZero() && c.problems[sourceReports] != "": // said above
	case c.polled.IsZero():
		s.Reasons = append(s.Reasons, "PuppetDB reports: not read yet")
	case now.Sub(c.polled) > 3*poll+lag:
		s.Reasons = append(s.Reasons, fmt.Sprintf("PuppetDB reports: last read %s ago", now.Sub(c.polled).Round(time.Second)))
	}
	if behind := now.Sub(c.through) - time.Duration(c.cfg.PuppetDB.Overlap); !c.through.IsZero() && behind > lag+3*poll {
		s.Reasons = append(s.Reasons, fmt.Sprintf("PuppetDB reports: complete only through %s", c.through.UTC().Format(time.RFC3339)))
	}
	if c.inventory == nil && c.problems[sourceInventory] != "" {
		s.Fresh = false // said above
	} else if c.inventory == nil {
		s.Reasons = append(s.Reasons, "PuppetDB inventory: not read yet")
	} else if age := now.Sub(c.inventory.at); age > 3*time.Duration(c.cfg.PuppetDB.Inventory)+lag {
		s.Reasons = append(s.Reasons, fmt.Sprintf("PuppetDB inventory: last read %s ago", age.Round(time.Second)))
	} else if c.inventory.silentENC > 0 {
		s.Reasons = append(s.Reasons, fmt.Sprintf("the site's ENC has never answered for %d nodes", c.inventory.silentENC))
	}
	slices.Sort(s.Reasons)
	s.Fresh = len(s.Reasons) == 0
	return s
}

// snapshot gives the inventory, nil where there is none yet.
func (c *collector) nodes() *inventory {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inventory
}
