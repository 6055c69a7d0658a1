package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/segments"
)

func init() {
	extended = append(extended, []scenario{
		{"one datacenter is held while the other goes on", (*lab).heldDatacenter},
		{"one datacenter is backed out", (*lab).backedOutDatacenter},
		{"a flag beside an environment, and the faulty one backed out", (*lab).flagBesideEnvironment},
		{"a hostile document is clamped by the edges", (*lab).hostileDocument},
	}...)
}

const ams1 = `{enc.datacenter="ams1"}`

// have asserts what nodes last ran.
func (l *lab) have(environment string, nodes ...string) {
	l.Helper()
	for _, n := range nodes {
		if got := l.environmentOf(n); got != environment {
			l.Errorf("%s has %s, want %s", n, got, environment)
		}
	}
}

// heldDatacenter: the hold keeps its nodes where they are, the canary with the change and the others without, and nobody else;
// when it ends they follow.
func (l *lab) heldDatacenter() {
	base := l.baseline()
	l.deploy("production_v1", "", "sha-v1")
	l.begin("held", "production_v1")
	l.stage("held", "canary")
	l.sluice("hold", "add", "fra1-network", `{enc.datacenter="fra1"}`, "--for", "1h", "--reason", "switch upgrade")
	l.run(canary)
	l.run(canary)
	l.stage("held", "everyone")
	l.run(l.on()...)
	l.run(l.ams1...)
	l.phase("held", "settling")
	kept := l.fra1[1:] // without the canary
	l.onlyRan("production_v1", append(slices.Clone(l.ams1), canary)...)
	l.have(base, kept...)
	l.have("production_v1", canary)
	if out := l.sluice("why", kept[0]); !strings.Contains(out, "fra1-network") {
		l.Errorf("why does not name the hold:\n%s", out)
	}
	if out, err := l.enc(l.edges[0], "explain", kept[0]); err != nil || !strings.Contains(out, "held back by a cap") {
		l.Errorf("%v\n%s", err, out)
	}
	l.sluice("hold", "expire", "fra1-network", "--reason", "the switches are back")
	l.eventually("the edges let the datacenter go", func() string {
		out, err := l.enc(l.edges[0], "explain", kept[0])
		if err != nil || !strings.Contains(out, "environment: production_v1") {
			return out
		}
		return ""
	})
	l.run(kept...)
	l.run(kept...)
	l.phase("held", "completed")
	l.edgesCurrent()
	l.onlyRan("production_v1", l.on()...)
}

// backedOutDatacenter: its nodes get baseline back and keep it, the others keep the change.
func (l *lab) backedOutDatacenter() {
	base := l.baseline()
	l.deploy("production_v2", "", "sha-v2")
	l.begin("partly", "production_v2")
	l.stage("partly", "canary")
	l.run(canary)
	l.run(canary)
	l.stage("partly", "fra1")
	l.run(l.fra1...)
	l.run(l.fra1...)
	l.stage("partly", "everyone")
	l.run(l.ams1...)
	l.have("production_v2", l.on()...)
	l.sluice("backout", "partly", "--where", ams1, "--reason", "latency in ams1")
	l.eventually("the edges cut the datacenter out", func() string {
		for _, e := range l.edges {
			if out, _ := l.enc(e, "explain", l.ams1[0]); !strings.Contains(out, "environment: "+base+"\n") {
				return out
			}
		}
		return ""
	})
	l.run(l.on()...)
	l.have(base, l.ams1...)
	l.have("production_v2", l.fra1...)
	if p := l.rollout("partly").State.Phase; p == "backed_out" {
		l.Errorf("the whole rollout is %s", p)
	}
	l.sluice("backout", "partly", "--reason", "the rest as well")
	l.phase("partly", "backed_out")
	l.edgesCurrent()
	l.run(canary)
	l.have(base, canary)
}

// flagBesideEnvironment: each rollout has a first node of its own. The environment breaks its node and is backed out; the flag
// reaches everyone.
func (l *lab) flagBesideEnvironment() {
	base := l.baseline()
	for _, p := range l.stack.Puppetservers {
		l.must(p.DeployEnvironment(base, l.flagged(base, "beside", ""), "sha-flagged"))
		l.must(p.DeployEnvironment("production_v3", l.flagged("v3", "beside", "  exec { 'break it': command => '/bin/false' }\n"), "sha-v3"))
	}
	l.edgesCurrent()
	l.run(l.on()...)
	before := l.with("beside")
	l.begin("faulty", "production_v3")
	l.sluice("start", "flag-beside", "--track", "production", "--parameter", "beside=true", "--schedule", "beside", "--wait", "90s", "--reason", "sshd hardening")
	l.stage("faulty", "canary")
	l.stage("flag-beside", "other")
	l.run(canary, other)
	l.run(canary, other)
	l.phase("faulty", "backed_out")
	l.edgesCurrent()
	if v := l.rollout("faulty").State.Verdict; v == nil || v.Culprit == nil || v.Culprit.Resource != "Exec[break it]" {
		l.Errorf("verdict %+v", v)
	}
	if got := l.with("beside"); !slices.Equal(got, slices.Sorted(slices.Values(append(before, other)))) {
		l.Errorf("the flag is on %v, were %v", got, before)
	}
	// Ten nodes may be in flight at once: the rest of the ramp waits for their runs.
	l.eventually("flag-beside begins stage everyone", func() string {
		if s := l.rollout("flag-beside").State; s.Current() < 1 {
			return "closed: " + l.closed("flag-beside")
		}
		return ""
	})
	l.edgesCurrent()
	l.run(l.on()...)
	l.stage("flag-beside", "everyone")
	l.run(l.on()...)
	l.run(l.on()...)
	l.phase("flag-beside", "completed")
	if got := l.with("beside"); len(got) != len(l.on()) {
		l.Errorf("the flag is on %v", got)
	}
	l.onlyRan("production_v3", canary)
	l.have(base, canary)
	if p := l.rollout("faulty").State.Phase; p != "backed_out" {
		l.Errorf("the faulty one is %s", p)
	}
}

// hostileDocument: whoever may write enc/manifest has the edges' allowance and no more, whatever is in it.
func (l *lab) hostileDocument() {
	base := l.baseline()
	l.deploy("production_evil", "", "sha-evil")
	l.daemon.kill()
	for _, e := range l.edges {
		l.setLimit(e, "{nodes: 2, share: 0%}")
	}
	l.eventually("the edges have no more than an hour's worth", func() string {
		for _, e := range l.edges {
			var s struct{ Allowance float64 }
			out, _ := l.enc(e, "status")
			if err := json.Unmarshal([]byte(out), &s); err != nil || s.Allowance > 2.1 {
				return out
			}
		}
		return ""
	})
	pair, _, err := l.root.Get("sluice/enc/manifest", nil)
	l.must(err)
	before, _, err := enc.Decode(pair.Value)
	l.must(err)
	generation := before.Generation
	publish := func(change func(*segments.Document)) {
		l.Helper()
		d := before
		d.Rollouts, d.Tracks = slices.Clone(before.Rollouts), slices.Clone(before.Tracks)
		generation++
		d.Generation, d.Written = generation, time.Now().UTC()
		change(&d)
		manifest, err := enc.Encode(d)
		l.must(err)
		_, err = l.root.Put(&api.KVPair{Key: "sluice/enc/manifest", Value: manifest}, nil)
		l.must(err)
	}
	evil, first := l.evil(before.Tracks[0].Nodes)
	publish(func(d *segments.Document) { d.Rollouts = append(d.Rollouts, evil) })
	l.edgesCurrent()
	l.run(l.on()...)
	l.onlyRan("production_evil", first...)
	for _, e := range l.edges {
		if out, err := l.enc(e, "status"); err != nil || !strings.Contains(out, "waits for the speed limit") {
			l.Errorf("%s: %v\n%s", e.host, err, out)
		}
	}
	// Another salt is refused; a moved baseline and a pin for every node wait.
	salted := evil
	salted.Salt = "another"
	publish(func(d *segments.Document) { d.Rollouts = append(d.Rollouts, salted) })
	l.eventually("the edges refuse another salt", func() string {
		for _, e := range l.edges {
			if out, _ := l.enc(e, "status"); !strings.Contains(out, "frozen when it starts") {
				return out
			}
		}
		return ""
	})
	publish(func(d *segments.Document) {
		d.Tracks[0].Baseline = "production_evil"
		for _, n := range l.on() {
			d.Pins = append(d.Pins, segments.Pin{Certname: n, To: segments.ToCandidate})
		}
	})
	l.edgesCurrent()
	l.run(l.on()...)
	l.onlyRan("production_evil", first...)
	// Back is never limited.
	publish(func(*segments.Document) {})
	l.edgesCurrent()
	l.run(first...)
	l.have(base, first...)
	for _, e := range l.edges {
		l.setLimit(e, "{nodes: 100000}")
	}
	l.startDaemon()
	l.eventually("a leader goes on", func() string {
		out, code := l.trySluice(l.token, "list")
		if code != 0 {
			return out
		}
		return ""
	})
}

// evil is a rollout for everyone at once, under a name for which an allowance of two nodes admits exactly two. A minute or two
// more of allowance changes nothing about who they are.
func (l *lab) evil(nodes int) (segments.Rollout, []string) {
	l.Helper()
	for i := range 1000 {
		name := fmt.Sprintf("evil-%d", i)
		var below, near []string
		for _, n := range l.on() {
			switch u := segments.Position(name, n); {
			case segments.ThresholdAt(2 / float64(nodes)).Admits(u):
				below = append(below, n)
			case segments.ThresholdAt(3 / float64(nodes)).Admits(u):
				near = append(near, n)
			}
		}
		if len(below) == 2 && len(near) == 0 {
			return segments.Rollout{Name: name, Track: "production", Candidate: "production_evil", Stages: []segments.Stage{{Name: "everyone", Threshold: segments.All}}}, below
		}
	}
	l.Fatal("no such name")
	return segments.Rollout{}, nil
}
