package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store/consultest"
)

// A consul-template that runs as user puppet renders, stays dead when it is killed, and catches up when it is back.
func TestConsulTemplate(t *testing.T) {
	consul := consultest.Start(t)
	client, err := consul.Client(consul.Management)
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string) {
		t.Helper()
		if _, err := client.KV().Put(&api.KVPair{Key: "sluice/x", Value: []byte(value)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	s := &Stack{}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.makeRoot(""); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(s.Dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := giveTo("puppet", out); err != nil {
		t.Fatal(err)
	}
	rendered := filepath.Join(out, "rendered")
	hcl := fmt.Sprintf("consul { address = %q }\ntemplate {\n  contents = \"{{ key \\\"sluice/x\\\" }}\"\n  destination = %q\n}\n",
		consul.Addr, rendered)
	put("one")
	ct, err := s.ConsulTemplate("edge1", hcl, "puppet", "CONSUL_HTTP_TOKEN="+consul.Management)
	if err != nil {
		t.Fatal(err)
	}
	if err := ct.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFile(t, ct, rendered, "one")
	put("two")
	waitFile(t, ct, rendered, "two")
	ct.Kill()
	if ct.Running() {
		t.Error("killed, and running")
	}
	put("three")
	if err := ct.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFile(t, ct, rendered, "three")
	if err := ct.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// waitFile returns when the file has the content; it fails when consul-template ends before that, or the test's time does.
func waitFile(t *testing.T, ct *ConsulTemplate, path, want string) {
	t.Helper()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		content, err := os.ReadFile(path)
		if string(content) == want {
			return
		}
		select {
		case <-tick.C:
		case <-ct.Done():
			t.Fatalf("consul-template ended: %s", ct.LogTail(20))
		case <-deadline:
			t.Fatalf("%s is %q, %v; want %q; the log ends:\n%s", path, content, err, want, ct.LogTail(20))
		}
	}
}
