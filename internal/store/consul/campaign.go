package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

// retry is the pause before another attempt: after an error, and while a lock delay
// keeps a free lock from being taken.
const retry = time.Second

// Campaign implements store.Store.
func (s *Store) Campaign(ctx context.Context, key, who string) (store.Lease, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	if who == "" {
		return nil, fmt.Errorf("%w: campaign for key %q without a name", store.ErrInvalid, key)
	}
	for {
		l, err := s.attempt(ctx, key, who)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("campaign for key %q: %w: %w (last: %v)", s.full(key), store.ErrUnavailable, ctx.Err(), err)
		}
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, errSessionEnded) {
			return nil, err
		}
		s.config.Log.Warn().Err(err).Str("key", s.full(key)).Msg("campaign goes on")
		sleep(ctx, retry)
	}
}

// attempt campaigns with one session.
func (s *Store) attempt(ctx context.Context, key, who string) (*lease, error) {
	l, err := s.openSession(ctx, key, who)
	if err != nil {
		return nil, err
	}
	if err := l.acquire(ctx); err != nil {
		// Best effort: a session that stays behind ends by its time to live.
		_ = l.Release(context.WithoutCancel(ctx))
		return nil, err
	}
	return l, nil
}

// acquire waits for the lock and takes it. It stops when the session is lost.
func (l *lease) acquire(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.work.Go(func() {
		select {
		case <-l.lost:
			cancel(errSessionEnded)
		case <-ctx.Done():
		}
	})
	var index uint64
	for {
		pair, next, err := l.store.lockState(ctx, l.key, index)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if pair != nil && pair.Session == l.session {
			l.work.Go(l.monitor)
			return nil
		}
		index = next
		if pair != nil && pair.Session != "" {
			continue
		}
		took, err := l.take(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		index = 0
		if !took {
			sleep(ctx, retry) // a lock delay, or somebody was quicker
		}
	}
}

func (l *lease) take(ctx context.Context) (bool, error) {
	ctx, cancel := l.store.timeout(ctx)
	defer cancel()
	took, _, err := l.store.client.KV().Acquire(&api.KVPair{
		Key:     l.store.full(l.key),
		Value:   store.Holder{Who: l.who, Since: time.Now()}.Encode(),
		Session: l.session,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("lock key %q: %w", l.store.full(l.key), classify(err))
	}
	return took, nil
}

// lockState reads the key of a lock, consistently, and waits for a change if index
// is not 0. The next index is never behind a restored snapshot.
func (s *Store) lockState(ctx context.Context, key string, index uint64) (*api.KVPair, uint64, error) {
	limit := s.config.Timeout
	if index > 0 {
		limit += waitTime(s.config.Wait)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	query := consistent(ctx)
	query.WaitIndex, query.WaitTime = index, s.config.Wait
	pair, meta, err := s.client.KV().Get(s.full(key), query)
	if err = errors.Join(err, answered(meta)); err != nil {
		return nil, 0, fmt.Errorf("read lock %q: %w", s.full(key), classify(err))
	}
	if meta.LastIndex < index {
		return pair, 0, nil
	}
	return pair, meta.LastIndex, nil
}

// sleep ends early with ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
