package daemon

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// count is how many nodes the track has in the document in force.
func (l *lab) count() int { return l.snapshot().Document.Track("production").Nodes }

// TestNewNode: a node that appears under way is on the track from its first report on, and has the candidate not before
// the stage that is for everyone.
func TestNewNode(t *testing.T) {
	l := newLab(t, 22).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	before := l.count()
	l.nodes = append(l.nodes, "n22") // in fra1
	l.untilStage("ntp", 2)
	if got := l.ranEver("production_2"); got != "n00" {
		t.Errorf("in the canary stage %s ran the candidate", got)
	}
	if l.count() != before+1 {
		t.Errorf("%d nodes on the track, were %d", l.count(), before)
	}
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)
}

// TestNewNodesWaitForALargeSet: a set of members that was written lately stays for a time that goes with its size, while new nodes wait,
// are counted, and are told; none is forgotten, and nobody waits for a set that never got into force.
func TestNewNodesWaitForALargeSet(t *testing.T) {
	if got := growAfter(17_000_000); got != 3400*time.Second {
		t.Errorf("a set of a million stays for %s", got)
	}
	l := newLab(t, 4).lead()
	l.tick()
	first := l.snapshot().Track("production")
	g := l.l.grown["production"]
	if g.members != first.Members || first.Count != 4 || g.stays != growAfter(4*17) || g.at.Before(l.now.Add(-time.Hour)) {
		t.Fatalf("%+v, the track has %d members in %s", g, first.Count, first.Members)
	}
	later := l.now.Add(3 * time.Hour)
	l.l.grown["production"] = grown{members: first.Members, at: l.now, stays: 3 * time.Hour}
	l.nodes = append(l.nodes, "n04")
	for range 4 {
		l.tick()
	}
	l.nodes = append(l.nodes, "n05")
	for range 2 {
		l.tick()
	}
	if got := l.snapshot().Track("production"); !l.now.Before(later) || got.Members != first.Members || got.Waiting != 2 || got.Nodes != 4 {
		t.Fatalf("at %s: %d wait, %d of %d on the track", l.now, got.Waiting, got.Nodes, got.Count)
	}
	view, err := why.Of(l.snapshot(), why.Ask{Certname: "n04", Now: l.now, Member: func(string, int, string) (bool, error) { return false, nil }})
	l.must(err)
	if got := view.Tracks[0].Assumed; !strings.Contains(got, "2 new nodes wait") {
		t.Errorf("why says %q", got)
	}
	for l.now.Before(later) {
		l.tick()
	}
	l.tick()
	if got := l.snapshot().Track("production"); got.Waiting != 0 || got.Nodes != 6 || got.Count != 6 {
		t.Errorf("later: %d wait, %d of %d on the track", got.Waiting, got.Nodes, got.Count)
	}
	for i, g := range []grown{
		{members: "of a write that failed", at: l.now, stays: 3 * time.Hour},
		{at: l.now.Add(24 * time.Hour), stays: 3 * time.Hour}, // the clock went back
	} {
		if g.members == "" {
			g.members = l.snapshot().Track("production").Members
		}
		l.l.grown["production"] = g
		l.nodes = append(l.nodes, fmt.Sprintf("n%02d", 6+i))
		l.tick()
		l.tick()
		if got := l.snapshot().Track("production"); got.Count != 7+i {
			t.Errorf("%+v: %d of %d listed, %d wait", g, got.Count, 7+i, got.Waiting)
		}
	}
}

// TestForeignNode: a node of another environment is not on the track, and never is.
func TestForeignNode(t *testing.T) {
	l := newLab(t, 4)
	l.nodes = append(l.nodes, "dev")
	l.report(4, "dev", "development")
	l.nodes = l.nodes[:4]
	l.lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Completed)
	if l.count() != 4 {
		t.Errorf("%d nodes on the track", l.count())
	}
	l.nodes = append(l.nodes, "dev")
	if got := l.answer("dev"); got != "production_1" { // what the lab gives a node for which the edge has no answer
		t.Errorf("the edge answers %s", got)
	}
}

// TestDeactivatedNode: a dead node holds a stage, by name, until it is deactivated.
func TestDeactivatedNode(t *testing.T) {
	l := running(t)
	l.untilStage("ntp", 2)
	all := l.nodes
	l.nodes = slices.DeleteFunc(slices.Clone(all), func(n string) bool { return n == "n04" })
	l.edges = l.edges[:1] // so that every other node keeps its edge
	for range 6 {
		l.tick()
	}
	if n, why := len(l.state("ntp").Stages), l.closed("ntp"); n != 2 || !strings.Contains(why, "n04") {
		t.Fatalf("%d stages, closed gates: %s", n, why)
	}
	l.deactivate("n04")
	l.until("ntp", gate.Completed)
	if l.count() != 5 {
		t.Errorf("%d nodes on the track", l.count())
	}
}

// deactivate is puppet node deactivate.
func (l *lab) deactivate(node string) {
	l.Helper()
	puppetdbtest.Commands(l.pdb.URL)(l.T, "deactivate_node", 3, node, map[string]any{"certname": node, "producer_timestamp": l.now.Format("2006-01-02T15:04:05.000Z")})
}

// encLab is a lab whose site has an ENC: a script that answers from files below enc/.
func encLab(t *testing.T, n int) *lab {
	l := newLab(t, n)
	script := l.path("enc.sh")
	l.must(os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec cat %s/$1\n", l.path("enc")), 0o755))
	l.extra = fmt.Sprintf("enc: {command: %q, refresh: 1h, concurrency: 2}\n", script)
	for _, e := range l.edges {
		e.Config.Upstream.Command, e.Config.Upstream.Timeout = script, 10e9
	}
	l.upstream = true
	for _, node := range l.nodes {
		l.write("enc/"+node, "---\nenvironment: production\nclasses: {}\nparameters: {datacenter: fra1}\n")
	}
	return l
}

// TestTrackFromTheSitesENC: the site's ENC says who is on the track; a node for which it names no environment is on it by
// what it reported, and one of another environment is left alone.
func TestTrackFromTheSitesENC(t *testing.T) {
	l := encLab(t, 4)
	l.write("enc/n02", "---\nclasses: {}\n")
	l.write("enc/n03", "---\nenvironment: development\nclasses: {}\n")
	l.lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Completed)
	l.tick()
	if got := l.ranEver("production_2"); got != "n00 n01 n02" || l.count() != 3 {
		t.Errorf("%s ran the candidate, %d nodes on the track", got, l.count())
	}
	if set := l.snapshot().Track("production"); set.Count != 1 {
		t.Errorf("%d nodes in the published set, want the one without an environment", set.Count)
	}
}

// TestSitesENCFails: a node about which the site's ENC never said anything may be on the track, so nothing goes on; one
// that it does not answer for any more keeps what it said.
func TestSitesENCFails(t *testing.T) {
	l := encLab(t, 4)
	l.must(os.Remove(l.path("enc", "n03")))
	l.lead()
	l.start("ntp", "production_2")
	for range 4 {
		l.tick()
	}
	if s := l.state("ntp"); s.Phase != gate.Waiting || !strings.Contains(l.closed("ntp"), "never answered for 1 nodes") {
		t.Fatalf("%s, closed gates: %s", s.Phase, l.closed("ntp"))
	}
	l.write("enc/n03", "---\nenvironment: production\n")
	l.until("ntp", gate.Running)
	l.set("flags/ntp/pause", "true")
	l.must(os.Remove(l.path("enc", "n02")))
	for range 9 { // beyond the refresh
		l.tick()
	}
	if l.count() != 4 {
		t.Errorf("%d nodes on the track while the ENC fails for one", l.count())
	}
	l.write("enc/n02", "---\nenvironment: production\n")
	l.tick()
	l.set("flags/ntp/pause", "false")
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)
}

// TestReplacedNodesHold: nodes that left and were replaced under other names are as many as before, and hold a stage for everyone all the same;
// the next leader, who does not know their names, has their number.
func TestReplacedNodesHold(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 3)
	l.tick()
	l.set("flags/ntp/pause", "true")
	l.tick()
	for _, n := range []string{"n04", "n05", "n06"} {
		l.deactivate(n)
	}
	l.nodes = append(slices.DeleteFunc(slices.Clone(l.nodes), func(n string) bool { return n == "n04" || n == "n05" || n == "n06" }), "m04", "m05", "m06")
	for range 3 {
		l.tick()
	}
	if got := l.count(); got != 12 {
		t.Fatalf("%d nodes are on the track", got)
	}
	for _, who := range []string{"this leader", "the next"} {
		if why := l.closed("ntp"); !strings.Contains(why, "3 of the 12 nodes that it") {
			t.Errorf("%s: closed gates: %s, %+v", who, why, l.state("ntp").Stages[2])
		}
		l.failover()
		l.tick()
	}
	l.set("flags/ntp/pause", "false")
	for range 12 {
		l.tick()
	}
	if s := l.state("ntp"); s.Phase == gate.Completed {
		t.Errorf("completed without a person's word: %+v", s.Stages[2])
	}
	l.request("promote", tree.Request{Kind: tree.RequestPromote, Rollout: "ntp", Stage: l.state("ntp").Stages[2].Name})
	l.until("ntp", gate.Settling)
	l.tick()
	if why, st := l.closed("ntp"), l.state("ntp").Stages[2]; strings.Contains(why, "have left") || st.Came != (gate.Came{}) {
		t.Errorf("after a person's word: closed gates: %s, %+v", why, st)
	}
}
