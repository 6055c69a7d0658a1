package consul_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, server, server.Management, nil) })
}

// TestSameAsMem is what lets every other package test against the store in memory.
func TestSameAsMem(t *testing.T) {
	for seed := range uint64(4) {
		storetest.Same(t, mem.New(), open(t, server, server.Management, nil), seed, 50)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []consul.Config{
		{Prefix: "/sluice/"}, {Prefix: "a//b"}, {Prefix: "/"}, {Wait: -1}, {Timeout: -1}, {SessionTTL: -1}, {LockDelay: -1},
		{Client: &api.Config{Address: "ftp://127.0.0.1"}},
	} {
		if _, err := consul.New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestEnvironment: without a configuration, the variables of the consul command
// count and the prefix is sluice/.
func TestEnvironment(t *testing.T) {
	t.Setenv("CONSUL_HTTP_ADDR", server.Addr)
	t.Setenv("CONSUL_HTTP_TOKEN", token(t, server, "init"))
	s, err := consul.New(consul.Config{})
	must(t, err)
	defer s.Close()
	must(t, s.Txn(t.Context(), store.Set("environment", []byte("yes"))))
	raw, err := server.Client(server.Management)
	must(t, err)
	pair, _, err := raw.KV().Get("sluice/environment", nil)
	must(t, err)
	if pair == nil || string(pair.Value) != "yes" {
		t.Errorf("key below the default prefix: %+v", pair)
	}
}

// TestHandWritten: what people leave in KV with other tools.
func TestHandWritten(t *testing.T) {
	s := open(t, server, server.Management, onPrefix("hand"))
	raw, err := server.Client(server.Management)
	must(t, err)
	for key, value := range map[string]string{
		"hand/flags/":            "", // a folder of the web interface
		"hand/flags/ntp/":        "",
		"hand/flags/ntp/pause/":  "true", // slips of the hand, to be shown to somebody
		"hand/flags/ntp/pause\\": "true",
		"hand/flags/ntp/pause":   "",
		"handsome":               "elsewhere",
	} {
		_, err := raw.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
		must(t, err)
	}
	entries, _, err := s.List(t.Context(), "")
	must(t, err)
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	want := []string{"flags/ntp/pause", "flags/ntp/pause/", "flags/ntp/pause\\"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("listed keys (-want +got):\n%s", diff)
	}
}

func TestIdentity(t *testing.T) {
	named, err := server.TokenFor("anna@example.com", "operator")
	must(t, err)
	nameless, err := server.TokenFor("", "operator")
	must(t, err)
	for _, c := range []struct{ secret, prefix string }{
		{named, "anna@example.com (token "},
		{nameless, "token "},
	} {
		who, err := open(t, server, c.secret, nil).Identity(t.Context())
		must(t, err)
		if !strings.HasPrefix(who, c.prefix) || strings.Contains(who, c.secret) {
			t.Errorf("identity %q, want %q and an accessor", who, c.prefix)
		}
	}
	if who, err := open(t, server, "", nil).Identity(t.Context()); err != nil || who != "" {
		t.Errorf("anonymous identity %q, error %v, want none", who, err)
	}
	_, err = open(t, server, "11111111-2222-3333-4444-555555555555", nil).Identity(t.Context())
	wantError(t, err, store.ErrForbidden)
}
