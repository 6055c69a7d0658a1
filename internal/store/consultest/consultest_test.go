package consultest_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/internal/store/consultest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func put(t *testing.T, s *consultest.Server, value string) {
	t.Helper()
	c, err := s.Client(s.Management)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.KV().Put(&api.KVPair{Key: "k", Value: []byte(value)}, nil); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *consultest.Server, value string) {
	t.Helper()
	c, err := s.Client(s.Management)
	if err != nil {
		t.Fatal(err)
	}
	pair, _, err := c.KV().Get("k", &api.QueryOptions{RequireConsistent: true})
	if err != nil || pair == nil || string(pair.Value) != value {
		t.Fatalf("key is %+v, error %v, want value %q", pair, err, value)
	}
}

// TestLife takes one server through everything that can be done to it.
func TestLife(t *testing.T) {
	s := consultest.Start(t)
	anonymous, err := s.Client("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := anonymous.KV().Put(&api.KVPair{Key: "k"}, nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Fatalf("write without a token: %v, want it refused", err)
	}
	put(t, s, "saved")
	snapshot := filepath.Join(s.Dir, "snapshot")
	if err := s.Save(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	put(t, s, "later")
	addr, management := s.Addr, s.Management

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := anonymous.Status().Leader(); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Addr != addr || s.Management != management {
		t.Error("a restart changed address or token")
	}
	want(t, s, "later")
	if err := s.Restore(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	want(t, s, "saved")

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := consultest.StartDir(t.Context(), s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Stop(); err != nil {
			t.Error(err)
		}
	}()
	want(t, again, "saved")
	if _, err := again.Token("nobody"); err == nil {
		t.Error("a token with an unknown policy was created")
	}
}

func TestBinaryMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("SLUICE_CACHE", t.TempDir())
	if path, err := consultest.Binary(); err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("binary %q, error %v, want advice to run make tools", path, err)
	}
}
