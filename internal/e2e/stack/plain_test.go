package stack

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPortsAreLeasedOnce(t *testing.T) {
	a, b := &portLease{}, &portLease{}
	t.Cleanup(a.release)
	t.Cleanup(b.release)
	seen := map[int]bool{}
	for range 40 {
		for _, l := range []*portLease{a, b} {
			port, err := l.take()
			if err != nil {
				t.Fatal(err)
			}
			if seen[port] || port < firstPort || port > lastPort {
				t.Errorf("port %d: taken already, or out of range", port)
			}
			seen[port] = true
		}
	}
}

func TestParseSLI(t *testing.T) {
	got, err := parseSLI("a_ratio 0.5\n\n  b  1e3 \na_ratio 1\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{"a_ratio": 1, "b": 1000}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"a", "a b", "a 1 2", "a-b 1", "1a 1", "a{x=\"y\"} 1"} {
		if got, err := parseSLI("ok 1\n" + bad); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, %v; want an error that names line 2", bad, got, err)
		}
	}
}

func FuzzParseSLI(f *testing.F) {
	f.Add("a_ratio 0.5\nb NaN\n")
	f.Add("a 1\r\n\tb 0x1p-2\n")
	f.Fuzz(func(t *testing.T, content string) {
		values, err := parseSLI(content)
		if err != nil && values != nil {
			t.Error("both values and an error")
		}
		again, err2 := parseSLI(content + "\n" + content)
		same := maps.EqualFunc(values, again, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
		if (err == nil) != (err2 == nil) || !same {
			t.Errorf("read twice: %v, %v and %v, %v", values, err, again, err2)
		}
	})
}

func TestNamesThatAreRefused(t *testing.T) {
	s := &Stack{Dir: t.TempDir()}
	p := &Puppetserver{Dir: t.TempDir(), EnvironmentPath: t.TempDir(), stack: s}
	for _, certname := range []string{"", "../etc", "a b", "a/b", ".hidden", "a\nb"} {
		if s.SetSiteENC(certname, "x") == nil || s.FailSiteENC(certname, 1) == nil || s.SetSLI(certname, "m", 1) == nil {
			t.Errorf("certname %q was accepted", certname)
		}
		if _, err := s.Agent(t.Context(), certname, 0); err == nil {
			t.Errorf("agent %q ran", certname)
		}
	}
	for _, environment := range []string{"", "a-b", "..", "a/b"} {
		if p.DeployEnvironment(environment, nil, "s") == nil || p.RemoveEnvironment(environment) == nil {
			t.Errorf("environment %q was accepted", environment)
		}
	}
	for _, command := range []string{"relative/path", "/bin/x 'quoted'", "/bin/x; y", "/bin/x $HOME", "/bin/x  two", "/bin/x\n/bin/y"} {
		if p.SetExternalNodes(command) == nil {
			t.Errorf("external_nodes %q was accepted", command)
		}
	}
}
