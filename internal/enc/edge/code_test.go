package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/segments"
)

func (s *server) code(environment string) string {
	s.Helper()
	id, err := s.codeOf(s.Context(), environment, map[string]digest{})
	if err != nil {
		return id + ": " + err.Error()
	}
	return id
}

func TestSignature(t *testing.T) {
	for content, want := range map[string]string{
		`{"signature":"abc"}`:                          "abc",
		`{"signature":"abc","deploy_success":true}`:    "abc",
		`{"signature":"abc","deploy_success":false}`:   CodeFailed, // g10k before it has the modules
		`{"name":"x","deploy_success":true}`:           CodeUnpinned,
		`{"signature":"abc"`:                           CodeUnpinned + ": .g10k-deploy.json: unexpected end of JSON input",
		`{"signature":"","deploy_success":false}`:      CodeFailed,
		`{"signature":"abc","deploy_success":"maybe"}`: CodeUnpinned + ": .g10k-deploy.json: json: cannot unmarshal",
	} {
		s := newServer(t)
		s.write("environments/x/.g10k-deploy.json", content, 0o644)
		if got := s.code("x"); !strings.HasPrefix(got, want) || got == "" {
			t.Errorf("%s: %q, want %q", content, got, want)
		}
	}
	if got := newServer(t).code("nowhere"); got != CodeMissing {
		t.Errorf("%q", got)
	}
}

func TestCodeIDCommand(t *testing.T) {
	s := newServer(t)
	s.Config.Code.IDCommand = s.dir + "/code-id"
	for script, want := range map[string]string{
		"echo v1:$1":         "v1:production",
		"printf 'two words'": CodeUnpinned + ": ",
		"echo missing":       CodeUnpinned + ": ",
		"exit 3":             CodeUnpinned + ": ",
		":":                  CodeUnpinned + ": ",
	} {
		s.write("code-id", "#!/bin/sh\n"+script+"\n", 0o755)
		if got := s.code("production"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	s.write("code-id", "#!/bin/sh\nexit 3\n", 0o755)
	s.write("rendered/flags", "end\n", 0o644)
	if st := s.publish(document(1)); st.Code["production"] != CodeUnpinned || len(st.Problems) != 1 || len(st.Loud) != 0 {
		t.Errorf("%+v", st)
	}
}

// With content, an edit in place is seen, and the same files are the same code whatever their times, links and repositories.
func TestContentIdentity(t *testing.T) {
	a, b := newServer(t), newServer(t)
	for i, s := range []*server{a, b} {
		s.Config.Code.Identity = identityContent
		s.write("environments/production_new/manifests/site.pp", "include ntp\n", 0o644)
		s.write("environments/production_new/modules/ntp/manifests/init.pp", "class ntp {}\n", 0o644)
		s.write("environments/production_new/.git/HEAD", fmt.Sprint("host ", i), 0o644)
		s.publish(document(1, segments.Stage{Name: "all", Threshold: segments.None}))
	}
	id := a.accept().Code["production_new"]
	if other := b.accept().Code["production_new"]; id != other || !strings.HasPrefix(id, "abc123+") {
		t.Fatalf("the same code: %s and %s", id, other)
	}
	if got := a.accept().Code["production"]; !strings.HasPrefix(got, "content:") {
		t.Errorf("without a signature: %s", got)
	}
	site := a.dir + "/environments/production_new/manifests/site.pp"
	for _, c := range []struct {
		what string
		edit func() error
	}{
		{"same size", func() error { return os.WriteFile(site, []byte("include nto\n"), 0o644) }},
		{"executable", func() error { return os.Chmod(site, 0o755) }},
		{"link", func() error { return os.Symlink("site.pp", filepath.Dir(site)+"/link.pp") }},
		{"new file", func() error { return os.WriteFile(filepath.Dir(site)+"/z.pp", nil, 0o644) }},
		{"file removed", func() error { return os.Remove(filepath.Dir(site) + "/z.pp") }},
	} {
		before := a.accept().Code["production_new"]
		if err := c.edit(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if after := a.accept().Code["production_new"]; after == before {
			t.Errorf("%s was not seen: %s", c.what, after)
		}
	}
}

// An environment that nobody touched is walked and not read: a file that may not be read any more shows it.
func TestContentIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/site.pp", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := digestOf(dir, digest{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := digestOf(dir, digest{Stat: first.Stat, Content: "kept"}); err != nil || again.Content != "kept" {
		t.Errorf("%+v %v", again, err)
	}
	if _, err := digestOf(dir+"/nowhere", first); err == nil {
		t.Error("a directory that is not there has a digest")
	}
}
