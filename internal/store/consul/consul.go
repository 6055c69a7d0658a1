// Package consul is the store.Store on Consul KV.
//
// Reads are consistent: an answer of a server that was the leader a moment ago
// could show a pause as not set. Requests that only wait (Watch) use the default
// mode, since a consistent List follows them.
package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Config says where and how. The zero value is usable.
type Config struct {
	// Client is the Consul client's own configuration; nil takes it from the
	// environment (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, ...).
	Client *api.Config
	// Prefix of all keys, "sluice/" if empty; a missing slash at its end is added.
	Prefix string
	// SessionTTL of the leader's session, 15 s if 0; Consul takes 10 s to 24 h. A
	// leader that cannot renew stops to believe in itself after this time; Consul
	// takes the lock away after up to twice of it.
	SessionTTL time.Duration
	// LockDelay keeps others from the lock after a session was lost, 15 s if 0, at
	// most 60 s. A clean release is not delayed.
	LockDelay time.Duration
	// Wait is the longest one blocking query waits before Watch returns, 1 m if 0.
	Wait time.Duration
	// Timeout of a request that does not wait, 10 s if 0.
	Timeout time.Duration
	// Log gets what a campaign rides out.
	Log zerolog.Logger
}

// Store implements store.Store. Use New.
type Store struct {
	config Config
	client *api.Client
	http   *http.Client // to close idle connections
	bare   bool         // no token is sent
}

// New checks the configuration; it sends nothing.
func New(c Config) (*Store, error) {
	prefix := strings.TrimSuffix(orDefault(c.Prefix, "sluice/"), "/")
	if err := store.CheckKey(prefix); err != nil {
		return nil, fmt.Errorf("consul prefix: %w", err)
	}
	c.Prefix = prefix + "/"
	c.SessionTTL = orDefault(c.SessionTTL, 15*time.Second)
	c.LockDelay = orDefault(c.LockDelay, 15*time.Second)
	c.Wait = orDefault(c.Wait, time.Minute)
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	for name, d := range map[string]time.Duration{
		"session ttl": c.SessionTTL, "lock delay": c.LockDelay, "wait": c.Wait, "timeout": c.Timeout,
	} {
		if d < 0 {
			return nil, fmt.Errorf("consul %s: %v, want a positive duration", name, d)
		}
	}
	clientConfig := api.DefaultConfig()
	if c.Client != nil {
		own := *c.Client // NewClient fills in what is missing
		clientConfig = &own
	}
	client, err := api.NewClient(clientConfig)
	if err != nil {
		return nil, fmt.Errorf("consul client: %w", err)
	}
	return &Store{config: c, client: client, http: clientConfig.HttpClient, bare: clientConfig.Token == ""}, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Close drops idle connections. Leases are released by their holders.
func (s *Store) Close() { s.http.CloseIdleConnections() }

func (s *Store) full(key string) string { return s.config.Prefix + key }

// timeout bounds one request.
func (s *Store) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.config.Timeout)
}

func consistent(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	pair, meta, err := s.client.KV().Get(s.full(key), consistent(ctx))
	if err = errors.Join(err, answered(meta)); err != nil {
		return store.Entry{}, fmt.Errorf("get key %q: %w", s.full(key), classify(err))
	}
	if pair == nil {
		return store.Entry{}, fmt.Errorf("get key %q: %w", s.full(key), store.ErrNotFound)
	}
	if pair.Key != s.full(key) || pair.ModifyIndex == 0 {
		return store.Entry{}, fmt.Errorf("get key %q: %w: answer is key %q at index %d", s.full(key), store.ErrUnavailable, pair.Key, pair.ModifyIndex)
	}
	return store.Entry{Key: key, Value: pair.Value, Version: pair.ModifyIndex}, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, 0, err
	}
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	pairs, meta, err := s.client.KV().List(s.full(prefix), consistent(ctx))
	if err = errors.Join(err, s.complete(ctx, prefix, meta)); err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", s.full(prefix), classify(err))
	}
	entries := make([]store.Entry, 0, len(pairs))
	for _, pair := range pairs { // Consul keeps and returns keys in order
		key, ok := strings.CutPrefix(pair.Key, s.full(prefix))
		if !ok {
			return nil, 0, fmt.Errorf("list %q: %w: answer has key %q", s.full(prefix), store.ErrUnavailable, pair.Key)
		}
		if strings.HasSuffix(pair.Key, "/") && len(pair.Value) == 0 {
			continue // a folder that people made in the Consul UI
		}
		entries = append(entries, store.Entry{Key: prefix + key, Value: pair.Value, Version: pair.ModifyIndex})
	}
	return entries, meta.LastIndex, nil
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	full, meta, err := s.client.KV().Keys(s.full(prefix), "", consistent(ctx))
	if err = errors.Join(err, s.complete(ctx, prefix, meta)); err != nil {
		return nil, fmt.Errorf("keys %q: %w", s.full(prefix), classify(err))
	}
	keys := make([]string, 0, len(full))
	for _, f := range full {
		key, ok := strings.CutPrefix(f, s.config.Prefix)
		if !ok || !strings.HasPrefix(f, s.full(prefix)) {
			return nil, fmt.Errorf("keys %q: %w: answer has key %q", s.full(prefix), store.ErrUnavailable, f)
		}
		if !strings.HasSuffix(key, "/") { // a folder that people made in the Consul UI
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Identity implements store.Store: the description of the token and the start of its
// accessor id, or one of them; "" without access rules and for the anonymous token.
func (s *Store) Identity(ctx context.Context) (string, error) {
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	token, _, err := s.client.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) {
		off := status.Code == http.StatusUnauthorized
		if off || s.bare && status.Code == http.StatusForbidden {
			return "", nil // no access rules, or nobody in particular
		}
	}
	if err != nil {
		return "", fmt.Errorf("read own token: %w", classify(err))
	}
	switch {
	case token.AccessorID == anonymousAccessor:
		return "", nil
	case token.Description == "":
		return "token " + token.AccessorID, nil
	}
	return fmt.Sprintf("%s (token %.8s)", token.Description, token.AccessorID), nil
}

const anonymousAccessor = "00000000-0000-0000-0000-000000000002"
