package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// auditInit is the kind of the first audit entry.
const auditInit = "initialised"

func (p *program) initCommand() *cobra.Command {
	var tracks []string
	var reason string
	c := &cobra.Command{
		Use: "init", Short: "Prepare the store, once", Args: args(cobra.NoArgs),
		Long: `init creates the installation and every key that is watched, in one transaction; it changes no key that exists. It
needs a token with the policy "init". The baseline of a track is the environment that its nodes have today.`,
		Example: `  sluice init --track production=production`,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := tracksOf(tracks)
			if err != nil {
				return err
			}
			p.store.create = true
			s, done, err := p.connect()
			if err != nil {
				return err
			}
			defer done()
			if reason = oneLine(reason); reason == "" {
				reason = "sluice init"
			}
			ops, epoch, err := initOps(list, p.who(c.Context(), s, c.ErrOrStderr()), reason, p.now())
			if err != nil {
				return err
			}
			if err := s.Txn(c.Context(), ops...); err != nil {
				return initFailed(c.Context(), s, epoch, err)
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "initialised, epoch %s\n", epoch)
			where, next := p.store.prefix, nextSteps
			if p.store.dir != "" {
				where, next = p.store.dir, nextStepsInADirectory
			}
			for _, op := range ops {
				fmt.Fprintf(out, "  %s%s\n", strings.TrimSuffix(where, "/")+"/", op.Key)
			}
			fmt.Fprint(out, next)
			return nil
		},
	}
	c.Flags().StringArrayVar(&tracks, "track", nil, "NAME=BASELINE, such as production=production (required, repeatable)")
	c.Flags().StringVar(&reason, "reason", "", "why, one sentence for the audit")
	return c
}

const nextSteps = `Next:
  1. on every puppetserver: install sluice-enc, run consul-template, and look that "sluice-enc audit" lists no node
  2. run sluiced, two or more: sluice check config FILE, then sluiced --config.file=FILE
  3. start a rollout: sluice start --help
`

const nextStepsInADirectory = `Next:
  1. on this puppetserver: install sluice-enc with store.dir in its enc.yml, and look that "sluice-enc audit" lists no node
  2. run sluiced with store.dir and edges.local: sluice check config FILE, then sluiced --config.file=FILE
  3. start a rollout: sluice start --help
`

func tracksOf(list []string) ([]tree.Track, error) {
	var out []tree.Track
	for _, t := range list {
		name, baseline, ok := strings.Cut(t, "=")
		switch {
		case !ok || !segments.IsEnvironment(name) || !segments.IsEnvironment(baseline):
			return nil, usage("init: --track %q: expected NAME=BASELINE, both of letters, digits and _", t)
		case slices.ContainsFunc(out, func(o tree.Track) bool { return o.Name == name }):
			return nil, usage("init: --track %s is given twice", name)
		}
		out = append(out, tree.Track{Name: name, Baseline: baseline})
	}
	if len(out) == 0 {
		return nil, usage("init: --track is required, such as --track production=production")
	}
	return out, nil
}

// initOps is the transaction that creates an installation. The epoch sorts by time and is random besides.
func initOps(tracks []tree.Track, who, reason string, now time.Time) ([]store.Op, string, error) {
	random := make([]byte, 10)
	if _, err := rand.Read(random); err != nil {
		return nil, "", err
	}
	now = now.UTC().Truncate(time.Millisecond)
	epoch := fmt.Sprintf("%012x", now.UnixMilli()) + hex.EncodeToString(random)
	doc := segments.Document{Format: segments.Format, Epoch: epoch, Generation: 1, Written: now}
	var names []string
	for _, t := range tracks {
		doc.Tracks = append(doc.Tracks, segments.Track{Name: t.Name, Baseline: t.Baseline})
		names = append(names, t.Name+"="+t.Baseline)
	}
	manifest, err := enc.Encode(doc)
	if err != nil {
		return nil, "", err
	}
	entry := tree.AuditEntry{At: now, Kind: auditInit, Index: -1, By: who, Text: reason + ": tracks " + strings.Join(names, ", "), After: epoch}
	head, err := entry.Chain(tree.AuditHead{})
	if err != nil {
		return nil, "", err
	}
	type keyed struct {
		key   string
		value any
	}
	values := []keyed{{tree.InitKey, tree.Init{Format: segments.Format, Epoch: epoch, Created: now, By: who}}}
	for _, t := range tracks {
		values = append(values, keyed{tree.TrackKey(t.Name), t})
	}
	values = append(values, keyed{tree.StopsKey, tree.Stops{}}, keyed{tree.AuditHeadKey, head}, keyed{tree.AuditKey(entry.Seq), entry})
	ops := []store.Op{
		store.CAS(tree.ManifestKey, manifest, 0), store.CAS(tree.FreezeKey, []byte("false"), 0), store.CAS(tree.ForceKey, nil, 0),
	}
	for _, v := range values {
		data, err := json.Marshal(v.value)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", v.key, err)
		}
		ops = append(ops, store.CAS(v.key, data, 0))
	}
	return ops, epoch, nil
}

// initFailed says what is there already, or whether the transaction went through although its answer was lost.
func initFailed(ctx context.Context, s store.Store, epoch string, cause error) error {
	e, err := s.Get(ctx, tree.InitKey)
	var have tree.Init
	if err == nil {
		err = json.Unmarshal(e.Value, &have)
	}
	switch {
	case err == nil && have.Epoch == epoch:
		return fmt.Errorf("initialised with epoch %s, although the store's answer was lost: %w", epoch, cause)
	case err == nil && errors.Is(cause, store.ErrConflict):
		return refused("initialised already: epoch %s, by %s on %s; nothing was written", have.Epoch, have.By, utc(have.Created))
	}
	var conflict *store.ConflictError
	if errors.As(cause, &conflict) {
		return refused("%s exists although there is no installation; nothing was written. Delete it, or choose another --consul.prefix", conflict.Key)
	}
	return cause
}
