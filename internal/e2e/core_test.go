package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// TestSite plays the scenarios one after the other on one site, the way a site lives: what one leaves behind, the next
// one finds. The core ones run with every `make test`, all of them with SLUICE_E2E=all (`make e2e`); a regular
// expression in SLUICE_E2E chooses.
func TestSite(t *testing.T) {
	l := newLab(t)
	core := []scenario{
		{"installing sluice changes no node", (*lab).installing},
		{"identical code completes", (*lab).identicalCode},
		{"a good change reaches everyone in order", (*lab).goodChange},
		{"a resource failure is backed out", (*lab).resourceFailure},
		{"people's flags act with sluiced killed", (*lab).flagsWithoutDaemon},
		{"a compile failure is backed out", (*lab).compileFailure},
	}
	all := []scenario{}
	switch want := os.Getenv("SLUICE_E2E"); want {
	case "":
	case "all":
		all = extended
	default: // a regular expression: those scenarios alone, on a site where sluice is just installed
		re := regexp.MustCompile(want)
		chosen := append(core[1:], extended...)
		core = core[:1:1]
		for _, s := range chosen {
			if re.MatchString(s.name) {
				core = append(core, s)
			}
		}
	}
	// The fake PuppetDB that fast tests use is held against this real one; last, because it leaves nodes behind.
	all = append(all, scenario{"the fake PuppetDB is like the real one", func(l *lab) {
		puppetdbtest.Contract(l.T, l.stack.PuppetDB.URL, puppetdbtest.Commands(l.stack.PuppetDB.URL))
	}}, scenario{"a simulated fleet is like one in the real PuppetDB", (*lab).fleetsimIsLikePuppetDB},
		scenario{"every query's plan uses an index", (*lab).plansUseIndexes})
	for _, s := range append(core, all...) {
		ok := t.Run(s.name, func(t *testing.T) {
			began := time.Now()
			outer := l.T
			l.T = t
			defer func() { l.T = outer; outer.Logf("%6.1f s  %s", time.Since(began).Seconds(), s.name) }()
			s.play(l)
		})
		if !ok {
			t.FailNow() // the next one would start from nobody knows where
		}
	}
}

type scenario struct {
	name string
	play func(*lab)
}

// extended are the scenarios beyond the core.
var extended []scenario

func (l *lab) installing() {
	before := map[string]string{}
	for _, n := range append(l.on(), l.off...) {
		before[n] = l.environmentOf(n)
	}
	// From here on the outer test owns what is installed.
	l.install()
	var nodes strings.Builder
	for n, env := range before {
		fmt.Fprintf(&nodes, "%s,%s\n", n, env)
	}
	list := l.dir + "/nodes.csv"
	l.must(os.WriteFile(list, []byte(nodes.String()), 0o644))
	for _, e := range l.edges {
		out, err := l.enc(e, "audit", "--nodes", list)
		if err != nil || !strings.Contains(out, "18 nodes asked, 0 differ") {
			l.Errorf("audit on %s: %v\n%s", e.host, err, out)
		}
	}
	for n, r := range l.run(canary, l.ams1[0], l.off[0]) {
		if r.ExitCode != 0 || l.environmentOf(n) != before[n] {
			l.Errorf("%s: exit code %d, environment %s was %s\n%s", n, r.ExitCode, l.environmentOf(n), before[n], tail(r.Output, 15))
		}
	}
}

// identicalCode rolls the same code out under a new name: nothing in it can be wrong, so nothing may stop it.
func (l *lab) identicalCode() {
	for _, p := range l.stack.Puppetservers {
		l.must(p.DeployEnvironment("production_1", environment("production", ""), "sha-1"))
	}
	l.begin("same", "production_1")
	l.roll("same", "production_1")
}

// goodChange: one node, one datacenter, everyone, in this order; then it is the baseline.
func (l *lab) goodChange() {
	l.deploy("production_2", "", "sha-2")
	l.begin("good", "production_2")
	l.roll("good", "production_2")
	for _, a := range l.grafana.Annotations() {
		for _, tag := range a.Tags {
			if tag == "stage:canary" && slices.Contains(a.Tags, "rollout:good") && a.TimeEnd == 0 {
				l.Errorf("the canary stage's region is not closed: %+v", a)
			}
		}
	}
}

// roll drives the agents while a rollout goes through its three stages, and asserts who ran the candidate when.
func (l *lab) roll(name, candidate string) {
	l.Helper()
	l.stage(name, "canary")
	l.run(l.on()...) // everybody runs, one may have it
	l.onlyRan(candidate, canary)
	l.run(canary)
	l.stage(name, "fra1")
	l.run(l.on()...)
	l.onlyRan(candidate, l.fra1...)
	l.run(l.fra1...)
	l.stage(name, "everyone")
	l.run(l.on()...)
	l.onlyRan(candidate, l.on()...)
	l.run(l.ams1...)
	l.phase(name, "completed")
	l.edgesCurrent()
	for n, r := range l.run(canary, l.ams1[1], l.off[0], l.off[1]) {
		want := candidate
		if slices.Contains(l.off, n) {
			want = "development"
		}
		if env := l.environmentOf(n); r.ExitCode != 0 || env != want {
			l.Errorf("afterwards %s has %s, exit code %d; want %s", n, env, r.ExitCode, want)
		}
	}
	l.onlyRan(candidate, l.on()...)
}

// resourceFailure: nobody past the first stage, everybody back on baseline after the next run, the culprit named.
func (l *lab) resourceFailure() {
	base := l.baseline()
	l.deploy("production_3", "  exec { 'break it': command => '/bin/false' }\n", "sha-3")
	l.begin("broken", "production_3")
	l.stage("broken", "canary")
	l.run(canary)
	l.run(canary) // the failure repeats
	l.phase("broken", "backed_out")
	l.edgesCurrent()
	v := l.rollout("broken").State.Verdict
	if v == nil || v.Culprit == nil || v.Culprit.Resource != "Exec[break it]" || !strings.HasSuffix(v.Culprit.File, "production_3/manifests/site.pp") || v.Culprit.Line != 4 {
		l.Errorf("verdict %+v", v)
	}
	if out, code := l.trySluice(l.token, "status", "broken"); code != 4 || !strings.Contains(out, "Exec[break it]") || !strings.Contains(out, "site.pp:4") {
		l.Errorf("sluice status: exit code %d\n%s", code, out)
	}
	l.run(canary)
	if env := l.environmentOf(canary); env != base {
		l.Errorf("the canary is on %s after its next run", env)
	}
	l.run(l.fra1...)
	l.onlyRan("production_3", canary)
	// It does not come back under another name without a person.
	out, code := l.trySluice(l.token, "start", "broken-again", "--track", "production", "--environment", "production_3", "--schedule", "three", "--reason", "once more")
	if code != 6 || !strings.Contains(out, "vetoed") {
		l.Errorf("starting it again: exit code %d\n%s", code, out)
	}
}

// flagsWithoutDaemon: pause, explicit release, back-out by `consul kv put`, with no daemon at all.
func (l *lab) flagsWithoutDaemon() {
	base := l.baseline()
	l.deploy("production_4", "", "sha-4")
	l.begin("flags", "production_4")
	l.stage("flags", "canary")
	l.run(canary)
	l.put("flags/flags/pause", "true")
	l.run(canary)
	l.eventually("the pause is seen", func() string {
		if g := l.closed("flags"); !strings.Contains(g, "pause (") {
			return g
		}
		return ""
	})
	time.Sleep(5 * time.Second) // longer than the bake: only the pause holds it
	if n := len(l.rollout("flags").State.Stages); n != 1 {
		l.Fatalf("%d stages while paused", n)
	}
	l.daemon.kill()
	l.put("flags/flags/backout", "true latency on the canary")
	l.eventually("the edges back out", func() string {
		for _, e := range l.edges {
			if out, _ := l.enc(e, "explain", canary); !strings.Contains(out, "not admitted: backed out") {
				return out
			}
		}
		return ""
	})
	l.run(l.fra1...)
	if env := l.environmentOf(canary); env != base {
		l.Errorf("with sluiced killed the canary is on %s", env)
	}
	l.onlyRan("production_4", canary)
	// The flag vanishes, and everything below flags/ with it: the stop stays.
	_, err := l.root.DeleteTree("sluice/flags/flags/", nil)
	l.must(err)
	time.Sleep(3 * time.Second)
	l.run(canary)
	if env := l.environmentOf(canary); env != base {
		l.Errorf("a vanished flag gave the canary %s", env)
	}
	l.startDaemon()
	l.phase("flags", "backed_out")
	l.onlyRan("production_4", canary)
}

// compileFailure: the code does not compile for the canary; the agent reports it, and the cached catalog is refused.
func (l *lab) compileFailure() {
	base := l.baseline()
	l.deploy("production_5", "  fail('this does not compile')\n", "sha-5")
	l.begin("uncompilable", "production_5")
	l.stage("uncompilable", "canary")
	r := l.run(canary)[canary]
	if r.ExitCode != 1 {
		l.Errorf("the agent's exit code is %d\n%s", r.ExitCode, tail(r.Output, 10))
	}
	l.phase("uncompilable", "backed_out")
	l.edgesCurrent()
	v := l.rollout("uncompilable").State.Verdict
	if v == nil || v.Counts.CompileFailed != 1 || v.Culprit == nil || v.Culprit.Line != 4 || !strings.Contains(v.Culprit.Message, "this does not compile") {
		l.Errorf("verdict %+v", v)
	}
	l.run(canary)
	if env := l.environmentOf(canary); env != base {
		l.Errorf("the canary is on %s", env)
	}
	l.onlyRan("production_5")
}
