package daemon

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// saveEvery is how often what is known of nodes is written to a file.
const saveEvery = 10 * time.Minute

// resume takes up what a leader before wrote down in this directory. It is called before anything else happens to the ledger.
func (c *collector) resume() {
	path := filepath.Join(c.cfg.Controller.StateDir, savedName)
	l := newLedger(c.now)
	l.proof, l.measured = c.ledger.proof, c.ledger.measured
	h, err := readSaved(path, c.cfg.PuppetDB.URL, l, c.now(), time.Duration(c.cfg.PuppetDB.History))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		c.log.Warn().Err(err).Str("file", path).Msg("what another leader knew of the nodes is not used: the history is read from PuppetDB")
		return
	}
	c.ledger, c.resumed = l, h
	c.log.Info().Str("file", path).Int("nodes", h.Nodes).Time("of", h.At).Msg("what another leader knew of the nodes is taken up")
}

// feedFrom gives the feed that goes on where the file ends, or nil where there is none that fits.
func (c *collector) feedFrom(start time.Time, o puppetdb.Options) *puppetdb.Feed {
	h := c.resumed
	c.resumed = nil
	if h == nil {
		return nil
	}
	if h.Feed.Start.After(start) {
		c.log.Warn().Time("from", h.Feed.Start).Time("needed", start).Msg("what another leader knew does not reach back far enough: the history is read from PuppetDB")
		return nil
	}
	feed, err := puppetdb.ResumeFeed(c.pdb, h.Feed, o)
	if err != nil {
		c.log.Warn().Err(err).Msg("the reports cannot be read on where another leader ended: the history is read from PuppetDB")
		return nil
	}
	return feed
}

// saveIfDue writes the file every so often, and at the end.
func (c *collector) saveIfDue(last bool) {
	if now := c.now(); last || c.savedAt.IsZero() || now.Sub(c.savedAt) >= saveEvery {
		if c.savedAt.IsZero() && !last {
			c.savedAt = now // not at once: what was read just now is in PuppetDB
			return
		}
		c.savedAt = now
		switch err := c.save(); {
		case errors.Is(err, errTurned):
			c.savedAt = now.Add(-saveEvery + time.Minute)
		case err != nil:
			c.log.Warn().Err(err).Msg("what is known of the nodes cannot be written down; another leader will read the history from PuppetDB")
		}
	}
}
