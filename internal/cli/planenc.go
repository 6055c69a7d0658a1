package cli

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/siteenc"
)

// askedAtOnce is how many nodes are kept in memory while the site's ENC is asked about them.
const askedAtOnce = 500

type inventoryNode struct {
	certname, environment string
	facts, trusted, enc   map[string]any
}

// withENC gives every node what the site's ENC says of it; a node about which it gives no answer is an error.
func withENC(ctx context.Context, cfg config.ENC, nodes func(adder) error) func(adder) error {
	return func(add adder) error {
		var chunk []inventoryNode
		flush := func() error {
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(cfg.Concurrency)
			for i := range chunk {
				g.Go(func() (err error) {
					chunk[i].enc, err = siteenc.Ask(ctx, cfg, chunk[i].certname)
					return err
				})
			}
			if err := g.Wait(); err != nil {
				return fmt.Errorf("what enc.* means is not known: %w", err)
			}
			for _, n := range chunk {
				if err := add(n.certname, n.environment, n.facts, n.trusted, n.enc); err != nil {
					return err
				}
			}
			chunk = chunk[:0]
			return nil
		}
		err := nodes(func(certname, environment string, facts, trusted, _ map[string]any) error {
			chunk = append(chunk, inventoryNode{certname: certname, environment: environment, facts: facts, trusted: trusted})
			if len(chunk) < askedAtOnce {
				return nil
			}
			return flush()
		})
		if err != nil {
			return err
		}
		return flush()
	}
}
