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

// sets gives published sets by digest. Each is read from the store once, and kept as long as every look asks for it.
type sets struct {
	store store.Store
	have  map[string]segments.Set
	used  map[string]bool // asked for since the last sweep
	lost  string          // one whose members were asked for without being at hand, "" for none
}

func (s *sets) get(ctx context.Context, digest string, count int) (segments.Set, error) {
	s.use(digest)
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

func (s *sets) use(digest string) {
	if s.used == nil {
		s.used = map[string]bool{}
	}
	s.used[digest] = true
}

// sweep forgets the sets that a whole look had no use for, and those that only an old document names. A million nodes are
// 17 MB a set.
func (s *sets) sweep(document map[string]int) {
	for digest := range s.have {
		if _, named := document[digest]; !named && !s.used[digest] {
			delete(s.have, digest)
		}
	}
	s.used = nil
}

// complete fails where somebody asked for the members of a set that is not at hand: what followed from that is not true.
func (s *sets) complete() error {
	if s.lost == "" {
		return nil
	}
	err := fmt.Errorf("set %s was asked for and is not at hand", s.lost)
	s.lost = ""
	return err
}

// member says who is in a set, nobody for "". Of one that is not at hand it says so by complete.
func (s *sets) member(digest string) func(fingerprint string) bool {
	if digest == "" {
		return func(string) bool { return false }
	}
	s.use(digest)
	set, known := s.have[digest]
	if !known {
		return func(string) bool {
			s.lost = digest
			return false
		}
	}
	data := set.Data
	n := len(data) / segments.LineWidth
	return func(print string) bool {
		at := func(i int) string { return string(data[i*segments.LineWidth : i*segments.LineWidth+segments.Digits]) }
		i := sort.Search(n, func(i int) bool { return at(i) >= print })
		return i < n && at(i) == print
	}
}

// putSet writes a set before anything refers to it; it is named by its content, so writing it twice is harmless.
func (l *leader) putSet(ctx context.Context, set segments.Set) error {
	l.sets.use(set.Digest)
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
