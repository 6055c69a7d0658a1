package daemon

import (
	"os"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestBypass: somebody edits the candidate in place on one puppetserver. Every rollout holds, also the one of parameters beside it,
// and says which server it is; it goes on by itself when the code is what it was.
func TestBypass(t *testing.T) {
	l := newLab(t, 8).lead()
	second := l.edges[1]
	l.must(os.CopyFS(l.path("environments2"), os.DirFS(l.path("environments"))))
	second.Config.EnvironmentPath, second.Config.Code.Identity = l.path("environments2"), "content"
	l.edges[0].Config.Code.Identity = "content"
	l.look()
	l.start("ntp", "production_2")
	l.request("sshd", tree.Request{Kind: tree.RequestStart, Rollout: "sshd",
		Start: &tree.Start{Track: "production", Parameters: map[string]any{"sshd": true}, Schedule: "three", Policy: "default"}})
	l.untilStage("ntp", 1)
	l.untilStage("sshd", 1)

	l.write("environments2/production_2/manifests/site.pp", "include surprise\n")
	reached := map[string]int{"ntp": len(l.state("ntp").Stages), "sshd": len(l.state("sshd").Stages)}
	for range 12 {
		l.tick()
	}
	for name, want := range map[string]string{"ntp": "bypass: production_2 is ", "sshd": "under ntp: bypass: production_2 is "} {
		got := l.closed(name)
		if !strings.Contains(got, want) || !strings.Contains(got, " on puppet2, it was sha-production_2") {
			t.Errorf("%s: %s", name, got)
		}
		if n := len(l.state(name).Stages); n > reached[name] {
			t.Errorf("%s went on to stage %d", name, n)
		}
	}
	l.must(os.RemoveAll(l.path("environments2/production_2/manifests")))
	l.until("ntp", gate.Completed)
	l.until("sshd", gate.Completed)
}
