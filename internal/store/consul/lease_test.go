package consul_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
)

// sessions counts the sessions of one name in the shared server.
func sessions(t *testing.T, who string) (found []*api.SessionEntry) {
	t.Helper()
	raw, err := server.Client(server.Management)
	must(t, err)
	all, _, err := raw.Session().List(&api.QueryOptions{RequireConsistent: true})
	must(t, err)
	for _, s := range all {
		if s.Name == "sluice "+who {
			found = append(found, s)
		}
	}
	return found
}

// TestSession: what a leader leaves in Consul while it leads, and after.
func TestSession(t *testing.T) {
	s := open(t, server, server.Management, nil)
	l := campaign(t, s, "session-test")
	found := sessions(t, "session-test")
	if len(found) != 1 || len(found[0].NodeChecks) != 0 || found[0].TTL != "10s" || found[0].Behavior != api.SessionBehaviorRelease {
		t.Fatalf("sessions %+v, want one of 10s without checks that releases", found)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Campaign(ctx, "leader", "session-rival")
	wantError(t, err, context.DeadlineExceeded)
	must(t, l.Release(t.Context()))
	for _, who := range []string{"session-test", "session-rival"} {
		if left := sessions(t, who); len(left) != 0 {
			t.Errorf("sessions of %s left behind: %+v", who, left)
		}
	}
}

// TestDestroyedSession: Consul takes the lock away; the next one waits for the lock
// delay, and the old one can write nothing.
func TestDestroyedSession(t *testing.T) {
	s := open(t, server, server.Management, func(c *consul.Config) { c.LockDelay = 500 * time.Millisecond })
	l := campaign(t, s, "destroyed")
	raw, err := server.Client(server.Management)
	must(t, err)
	_, err = raw.Session().Destroy(sessions(t, "destroyed")[0].ID, nil)
	must(t, err)
	wantError(t, s.Txn(t.Context(), l.Check(), store.Set("state", nil)), store.ErrConflict)
	wantLost(t, l)
	next := campaign(t, s, "after-destroyed")
	must(t, s.Txn(t.Context(), next.Check(), store.Set("state", nil)))
	must(t, l.Release(t.Context()))
	must(t, s.Txn(t.Context(), next.Check(), store.Set("state", []byte("2"))))
}

// TestRenewal: a lease lives on over its time to live, and ends when renewals
// stop getting through although all other requests do.
func TestRenewal(t *testing.T) {
	var renewals atomic.Int64
	var cut atomic.Bool
	enough := make(chan struct{})
	client := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/v1/session/renew/") {
			if cut.Load() {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			if renewals.Add(1) == 3 { // more than one time to live
				close(enough)
			}
		}
		next.ServeHTTP(w, r)
	})
	s := openClient(t, client, shortTTL)
	l := campaign(t, s, "renewal")
	select {
	case <-enough:
	case <-l.Lost():
		t.Fatal("a renewed lease was lost")
	}
	must(t, s.Txn(t.Context(), l.Check(), store.Set("state", nil)))
	cut.Store(true)
	wantLost(t, l)
}
