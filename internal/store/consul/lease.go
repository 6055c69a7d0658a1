package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

// lease is a session and, once acquired, the lock on key.
type lease struct {
	store             *Store
	key, who, session string

	lost chan struct{}
	once sync.Once // closes lost

	life     context.Context    // of the goroutines; ends with loss or release
	cancel   context.CancelFunc // ends life
	work     sync.WaitGroup     // keeper and monitor
	released sync.Once
}

// openSession creates a session and keeps it alive from the first moment on.
func (s *Store) openSession(ctx context.Context, key, who string) (*lease, error) {
	l := &lease{store: s, key: key, who: who, lost: make(chan struct{})}
	sent := time.Now()
	create, cancel := s.timeout(ctx)
	defer cancel()
	// Without the node's health check: a gossip flap is no reason to change leaders.
	id, _, err := s.client.Session().CreateNoChecks(&api.SessionEntry{
		Name:      "sluice " + who,
		TTL:       s.config.SessionTTL.String(),
		LockDelay: s.config.LockDelay,
		Behavior:  api.SessionBehaviorRelease,
	}, (&api.WriteOptions{}).WithContext(create))
	if err != nil {
		return nil, fmt.Errorf("create session for key %q: %w", s.full(key), classify(err))
	}
	if id == "" {
		return nil, fmt.Errorf("create session for key %q: %w: answer without an id", s.full(key), store.ErrUnavailable)
	}
	l.session = id
	// The lease outlives the campaign, so its requests do not end with ctx.
	l.life, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	k := keeper{ttl: s.config.SessionTTL, renew: l.renew, lose: l.lose}
	l.work.Go(func() { k.run(l.life, sent) })
	return l, nil
}

func (l *lease) renew(ctx context.Context) error {
	entry, _, err := l.store.client.Session().Renew(l.session, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		if l.life.Err() == nil {
			l.store.config.Log.Warn().Err(err).Str("key", l.store.full(l.key)).Msg("leader session was not renewed")
		}
		return err
	}
	if entry == nil {
		return fmt.Errorf("%w: unknown to consul", errSessionEnded)
	}
	return nil
}

func (l *lease) lose(reason error) {
	l.once.Do(func() {
		if reason != nil {
			l.store.config.Log.Warn().Err(reason).Str("key", l.store.full(l.key)).Msg("leader lock is lost")
		}
		close(l.lost)
		l.cancel()
	})
}

// monitor sees a lock that was taken away while its session lives, as by a delete of
// the key. An error proves nothing here: the keeper decides how long to believe.
func (l *lease) monitor() {
	var index uint64
	for l.life.Err() == nil {
		pair, next, err := l.store.lockState(l.life, l.key, index)
		if err != nil {
			index = 0
			sleep(l.life, l.store.config.SessionTTL/10)
			continue
		}
		if pair == nil || pair.Session != l.session {
			l.lose(fmt.Errorf("key %q is not locked by this session any more", l.store.full(l.key)))
			return
		}
		index = next
	}
}

func (l *lease) Lost() <-chan struct{} { return l.lost }
func (l *lease) Check() store.Op       { return store.CheckLease(l.key, l.session) }
func (l *lease) Who() string           { return l.who }

// Release unlocks first: a destroyed session that still held the lock would keep
// everybody else out for the lock delay.
func (l *lease) Release(ctx context.Context) error {
	var err error
	l.released.Do(func() {
		l.lose(nil)
		l.work.Wait()
		err = errors.Join(l.unlock(ctx), l.destroy(ctx))
	})
	return err
}

func (l *lease) unlock(ctx context.Context) error {
	ctx, cancel := l.store.timeout(ctx)
	defer cancel()
	_, _, err := l.store.client.KV().Release(&api.KVPair{
		Key:     l.store.full(l.key),
		Value:   store.Holder{Since: time.Now()}.Encode(),
		Session: l.session,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("release key %q: %w", l.store.full(l.key), classify(err))
	}
	return nil // false: it was not locked by this session, and nothing was written
}

func (l *lease) destroy(ctx context.Context) error {
	ctx, cancel := l.store.timeout(ctx)
	defer cancel()
	if _, err := l.store.client.Session().Destroy(l.session, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("destroy session of key %q: %w", l.store.full(l.key), classify(err))
	}
	return nil
}
