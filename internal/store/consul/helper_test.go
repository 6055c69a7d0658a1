package consul_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/consultest"
)

// server is shared by the tests that do not harm it; each has a prefix of its own.
var server *consultest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "sluice-consul-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if server, err = consultest.StartDir(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if err := errors.Join(server.Stop(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

var prefixes atomic.Int64

// open returns a store on a prefix that nobody else uses, unless change says
// otherwise.
func open(t *testing.T, s *consultest.Server, token string, change func(*consul.Config)) *consul.Store {
	t.Helper()
	return openClient(t, s.Config(token), change)
}

func openClient(t *testing.T, client *api.Config, change func(*consul.Config)) *consul.Store {
	t.Helper()
	c := consul.Config{
		Client:     client,
		Prefix:     fmt.Sprintf("test-%d/", prefixes.Add(1)),
		SessionTTL: 10 * time.Second, // no busy machine misses a renewal
		LockDelay:  time.Millisecond,
		Wait:       5 * time.Minute, // so that no wake is a timeout
		Log:        zerolog.New(zerolog.NewTestWriter(t)),
	}
	if change != nil {
		change(&c)
	}
	s, err := consul.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func shortTTL(c *consul.Config) { c.SessionTTL = 3 * time.Second }

func onPrefix(prefix string) func(*consul.Config) {
	return func(c *consul.Config) { c.Prefix = prefix }
}

func token(t *testing.T, s *consultest.Server, policy string) string {
	t.Helper()
	secret, err := s.Token(policy)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v, want %v", err, class)
	}
}

func wantLost(t *testing.T, l store.Lease) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-l.Lost():
	case <-ctx.Done():
		t.Fatal("the lease did not notice its loss")
	}
}

func campaign(t *testing.T, s store.Store, who string) store.Lease {
	t.Helper()
	l, err := s.Campaign(t.Context(), "leader", who)
	must(t, err)
	t.Cleanup(func() { _ = l.Release(context.WithoutCancel(t.Context())) })
	return l
}
