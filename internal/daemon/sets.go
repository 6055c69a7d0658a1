package daemon

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/segments"
)

// sets gives published sets by digest, read from the store once.
type sets struct {
	store store.Store
	have  map[string]segments.Set
}

func (s *sets) get(ctx context.Context, digest string, count int) (segments.Set, error) {
	if set, ok := s.have[digest]; ok {
		return set, nil
	}
	set, err := edge.FetchSet(ctx, s.store, digest, count)
	if err != nil {
		return segments.Set{}, err
	}
	s.have[digest] = set
	return set, nil
}

func (s *sets) member(digest string) func(fingerprint string) bool {
	data := s.have[digest].Data
	n := len(data) / segments.LineWidth
	return func(print string) bool {
		at := func(i int) string { return string(data[i*segments.LineWidth : i*segments.LineWidth+segments.Digits]) }
		i := sort.Search(n, func(i int) bool { return at(i) >= print })
		return i < n && at(i) == print
	}
}

// putSet writes a set before anything refers to it; it is named by its content, so writing it twice is harmless.
func (l *leader) putSet(ctx context.Context, set segments.Set) error {
	if _, ok := l.sets.have[set.Digest]; ok {
		return nil
	}
	for n, shard := range set.Shards() {
		if err := l.store.Txn(ctx, l.lease.Check(), store.Set(edge.SetKey(set.Digest, n), shard)); err != nil {
			return fmt.Errorf("set %s: %w", set.Digest, err)
		}
	}
	l.sets.have[set.Digest] = set
	return nil
}

// ensureSet writes a set again that this leader wrote once and the store has lost since, before a document names it.
func (l *leader) ensureSet(ctx context.Context, digest string) error {
	_, err := l.store.Get(ctx, edge.SetKey(digest, 0))
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	set, ok := l.sets.have[digest]
	if !ok {
		return fmt.Errorf("set %s is not in the store", digest)
	}
	delete(l.sets.have, digest)
	return l.putSet(ctx, set)
}
