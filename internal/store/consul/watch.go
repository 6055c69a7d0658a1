package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Watch implements store.Store. It asks for keys only: the values below enc/sets/
// are megabytes.
func (s *Store) Watch(ctx context.Context, prefix string, since uint64) (uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return 0, err
	}
	// A blocking query for an index above the present one blocks until the cluster
	// gets there. After a restored snapshot that hides every change, so look first.
	now, err := s.keysIndex(ctx, prefix, 0)
	if err != nil || since == 0 || now != since {
		return now, err
	}
	return s.keysIndex(ctx, prefix, since)
}

// keysIndex waits until the index below prefix is not since, and returns it; 0 does
// not wait.
func (s *Store) keysIndex(ctx context.Context, prefix string, since uint64) (uint64, error) {
	limit := s.config.Timeout
	if since > 0 {
		limit += waitTime(s.config.Wait)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	query := &api.QueryOptions{WaitIndex: since, WaitTime: s.config.Wait}
	_, meta, err := s.client.KV().Keys(s.full(prefix), "", query.WithContext(ctx))
	if err = errors.Join(err, s.complete(ctx, prefix, meta)); err != nil {
		return 0, fmt.Errorf("watch %q: %w", s.full(prefix), classify(err))
	}
	return meta.LastIndex, nil
}

// waitTime is how long a server may really wait: it adds up to a sixteenth.
func waitTime(wait time.Duration) time.Duration { return wait + wait/16 }
