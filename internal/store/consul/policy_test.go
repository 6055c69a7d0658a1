package consul_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
)

// TestPolicies proves the shipped rules against a server that denies by default.
// Every key of the layout is tried with every policy: what is not listed as allowed
// must be refused.
func TestPolicies(t *testing.T) {
	const host, other = "puppet1.example.com", "puppet2.example.com"
	layout := []string{
		"init", "leader", "status", "requests/ntp", "rollouts/ntp/spec", "rollouts/ntp/state", "rollouts/ntp/status",
		"tracks/production", "enc/manifest", "enc/sets/abc/0", "edges/" + host, "edges/" + other, "edges/" + host + "2", "audit/1",
		"flags/ntp/pause", "flags/freeze", "flags/force", "holds/1", "pins/web1", "vetoes/1",
	}
	all := []string{""}
	for _, p := range []struct {
		policy      string
		read, write []string // prefixes of keys; "" is every key
		list        []string // prefixes that are listed whole
		lock        bool
	}{
		{policy: "init", read: all, write: all, list: []string{"", "flags/"}},
		{
			policy: "leader", read: all, list: []string{"", "flags/", "holds/"}, lock: true,
			write: []string{"rollouts/", "tracks/", "enc/", "audit/", "requests/", "leader", "status"},
		},
		{
			policy: "operator", read: all, list: []string{"", "rollouts/"},
			write: []string{"flags/", "holds/", "pins/", "vetoes/", "requests/"},
		},
		{ // as a person's, without flags/force
			policy: "api", read: all, list: []string{"", "rollouts/"},
			write: []string{"flags/ntp/", "flags/freeze", "holds/", "pins/", "vetoes/", "requests/"},
		},
		{
			policy: "edge-" + host, list: []string{"enc/", "enc/sets/abc/", "flags/"},
			read: []string{"enc/", "flags/", "edges/" + host}, write: []string{"edges/" + host},
		},
		{policy: "template", list: []string{"flags/"}, read: []string{"enc/manifest", "flags/"}},
		{policy: "viewer", read: all, list: []string{"", "audit/"}},
	} {
		t.Run(p.policy, func(t *testing.T) {
			admin := open(t, server, server.Management, onPrefix("sluice/"))
			for _, key := range layout {
				must(t, admin.Txn(t.Context(), store.Set(key, []byte("0"))))
			}
			s := open(t, server, token(t, server, p.policy), onPrefix("sluice/"))
			for _, key := range layout {
				_, err := s.Get(t.Context(), key)
				wantAllowed(t, "read of "+key, err, covers(p.read, key))
				wantAllowed(t, "write of "+key, s.Txn(t.Context(), store.Set(key, []byte("1"))), covers(p.write, key))
				wantAllowed(t, "delete of "+key, s.Txn(t.Context(), store.Delete(key)), covers(p.write, key))
				must(t, admin.Txn(t.Context(), store.Set(key, []byte("0"))))
			}
			for _, prefix := range []string{"", "rollouts/", "enc/", "enc/sets/abc/", "edges/", "audit/", "flags/", "holds/", "requests/"} {
				_, index, err := s.List(t.Context(), prefix)
				allowed := covers(p.list, prefix)
				wantAllowed(t, "list of "+prefix, err, allowed)
				_, err = s.Watch(t.Context(), prefix, index+1)
				wantAllowed(t, "watch of "+prefix, err, allowed)
			}
			wantLock(t, s, p.lock)
		})
	}
}

// covers: a prefix without a slash at its end is one key.
func covers(prefixes []string, key string) bool {
	for _, p := range prefixes {
		if p == key || (p == "" || strings.HasSuffix(p, "/")) && strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

func wantAllowed(t *testing.T, what string, err error, allowed bool) {
	t.Helper()
	if allowed && err != nil {
		t.Errorf("%s: %v, want it allowed", what, err)
	}
	if !allowed && !errors.Is(err, store.ErrForbidden) {
		t.Errorf("%s: error %v, want it refused", what, err)
	}
}

// wantLock campaigns, does what a leader does in one transaction, and steps down.
func wantLock(t *testing.T, s *consul.Store, allowed bool) {
	t.Helper()
	l, err := s.Campaign(t.Context(), "leader", "anna")
	wantAllowed(t, "campaign", err, allowed)
	if err != nil {
		return
	}
	must(t, s.Txn(t.Context(), l.Check(), store.Set("rollouts/ntp/state", nil), store.Set("enc/manifest", nil), store.Set("audit/head", nil), store.Delete("requests/ntp")))
	// One forbidden key takes the whole transaction down.
	wantError(t, s.Txn(t.Context(), l.Check(), store.Set("rollouts/ntp/state", []byte("2")), store.Set("flags/ntp/pause", []byte("false"))), store.ErrForbidden)
	e, err := s.Get(t.Context(), "rollouts/ntp/state")
	must(t, err)
	if len(e.Value) != 0 {
		t.Errorf("a refused transaction wrote %q", e.Value)
	}
	must(t, l.Release(context.WithoutCancel(t.Context())))
}

// TestForbiddenText: an operator must learn which token lacks what, and no log may
// learn the secret.
func TestForbiddenText(t *testing.T) {
	secret := token(t, server, "template")
	s := open(t, server, secret, onPrefix("sluice/"))
	raw, err := server.Client(secret)
	must(t, err)
	self, _, err := raw.ACL().TokenReadSelf(nil)
	must(t, err)
	admin := open(t, server, server.Management, onPrefix("sluice/"))
	must(t, admin.Txn(t.Context(), store.Set("holds/1", nil)))

	_, errGet := s.Get(t.Context(), "holds/1")
	_, _, errList := s.List(t.Context(), "holds/")
	_, errWatch := s.Watch(t.Context(), "holds/", 0)
	errTxn := s.Txn(t.Context(), store.CheckVersion("flags/a", 1), store.Set("holds/1", nil))
	for what, err := range map[string]error{"get": errGet, "list": errList, "watch": errWatch, "txn": errTxn} {
		wantError(t, err, store.ErrForbidden)
		if m := err.Error(); !strings.Contains(m, self.AccessorID) || !strings.Contains(m, "sluice/holds/") || strings.Contains(m, secret) {
			t.Errorf("%s: %q, want the accessor %s and the key, not the secret", what, m, self.AccessorID)
		}
	}
}
