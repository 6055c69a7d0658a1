package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

const (
	tidyEvery = time.Hour
	// unusedFor is how long nothing must have named a set, or a file of evidence, before it is deleted: an edge may still be
	// fetching what the document before named, and evidence is written before what names it.
	unusedFor = 24 * time.Hour
	// mostSets is how many sets one tidying deletes.
	mostSets = 20
)

// tidier remembers since when sets in the store have not been used.
type tidier struct {
	last   time.Time
	unused map[string]time.Time // by digest
}

// tidy deletes published sets and evidence that nothing names any more. A set of a million nodes has 17 MB, and every rollout may
// bring new ones. What cannot be deleted now is deleted later; nothing waits for it.
func (l *leader) tidy(ctx context.Context, snap *tree.Snapshot, now time.Time) {
	if now.Sub(l.tidier.last) < tidyEvery || len(snap.Damaged) > 0 {
		return
	}
	l.tidier.last = now
	if err := errors.Join(l.tidySets(ctx, snap, now), tidyEvidence(l.site.cfg.Controller.StateDir, snap, now)); err != nil {
		l.log.Warn().Err(err).Msg("what is not needed any more is not all deleted")
	}
}

func (l *leader) tidySets(ctx context.Context, snap *tree.Snapshot, now time.Time) error {
	keys, err := l.store.Keys(ctx, edge.SetsPrefix)
	if err != nil {
		return err
	}
	shards := map[string][]string{}
	for _, key := range keys {
		digest, _, ok := strings.Cut(strings.TrimPrefix(key, edge.SetsPrefix), "/")
		if ok {
			shards[digest] = append(shards[digest], key) // in order: the first shard is the one by which a set counts as there
		}
	}
	due := l.tidier.due(slices.Sorted(maps.Keys(shards)), l.named(snap, now), now)
	for _, digest := range due[:min(len(due), mostSets)] {
		for some := range slices.Chunk(shards[digest], store.MaxOps-1) {
			ops := []store.Op{l.lease.Check()}
			for _, key := range some {
				ops = append(ops, store.Delete(key))
			}
			if err := l.store.Txn(ctx, ops...); err != nil {
				return fmt.Errorf("set %s: %w", digest, err)
			}
		}
		delete(l.tidier.unused, digest)
		l.log.Info().Str("set", digest).Int("keys", len(shards[digest])).Msg("deleted, nothing has named it for a day")
	}
	return nil
}

// due says which of the sets that are there have been unused for long enough.
func (t *tidier) due(there []string, used map[string]bool, now time.Time) (due []string) {
	since := map[string]time.Time{}
	for _, digest := range there {
		if used[digest] {
			continue
		}
		first, known := t.unused[digest]
		if !known {
			first = now
		}
		if since[digest] = first; now.Sub(first) >= unusedFor {
			due = append(due, digest)
		}
	}
	t.unused = since
	return due
}

// named are the sets that the document, a track or a rollout has use for, and those that this leader has at hand.
func (l *leader) named(snap *tree.Snapshot, now time.Time) map[string]bool {
	used := map[string]bool{}
	for digest := range snap.Document.Sets {
		used[digest] = true
	}
	for digest := range l.sets.have {
		used[digest] = true
	}
	for _, t := range snap.Tracks {
		used[t.Members] = true
	}
	for i := range snap.Rollouts {
		r := &snap.Rollouts[i]
		if l.past(r, now) {
			continue
		}
		for _, st := range r.State.Stages {
			used[st.Set] = true
		}
		for _, ref := range r.State.Snapshots {
			used[ref.Digest] = true
		}
		for k := range r.State.Caps {
			used[r.State.Caps[k].Set] = true
		}
	}
	return used
}

// past says whether the rollout ended so long ago that no failure can be of its time.
func (l *leader) past(r *tree.Rollout, now time.Time) bool {
	return r.State.Phase.Ended() && now.Sub(r.State.Since) > l.collector.lookBack()+time.Hour
}

// tidyEvidence deletes files of evidence that are older than every rollout on record and that none names. Those that were backed
// out long ago and are on record for their veto do not count as the oldest.
func tidyEvidence(dir string, snap *tree.Snapshot, now time.Time) error {
	if len(snap.Gone) == 0 {
		return nil
	}
	before, named := now.Add(-unusedFor), map[string]bool{}
	for i := range snap.Rollouts {
		r := &snap.Rollouts[i]
		for _, st := range r.State.Stages {
			named[st.Verdict] = true
		}
		if v := r.State.Verdict; v != nil {
			named[v.Evidence] = true
		}
		if r.State.Phase != gate.BackedOut && r.Spec.Created.Before(before) {
			before = r.Spec.Created
		}
	}
	dir = filepath.Join(dir, "evidence")
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, f := range files {
		digest, ok := strings.CutSuffix(f.Name(), ".json")
		if info, err := f.Info(); ok && err == nil && info.Mode().IsRegular() && !named[digest] && info.ModTime().Before(before) {
			errs = append(errs, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return errors.Join(errs...)
}
