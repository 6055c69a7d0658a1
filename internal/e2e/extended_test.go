package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/tree"
)

func init() {
	extended = append(extended, []scenario{
		{"a compile failure hidden by the cached catalog is counted", (*lab).hiddenCompileFailure},
		{"a change that breaks an SLI is backed out", (*lab).brokenSLI},
		{"an agent that falls silent holds the rollout", (*lab).silentAgent},
		{"delays, releases and mistyped flags", (*lab).delaysAndTypos},
		{"a candidate missing on a puppetserver, or other code there", (*lab).candidateMissing},
		{"components stopped in turn", (*lab).componentsDown},
		{"sluiced killed at random, and another taking over", (*lab).killedAtRandom},
		{"a document torn, emptied and older", (*lab).damagedDocument},
		{"a puppetserver cut off for hours", (*lab).cutOff},
		{"parameters instead of an environment", (*lab).parameters},
		{"a snapshot restored from before a back-out", (*lab).restoredSnapshot},
	}...)
}

// baseline is what the canary runs when nothing is rolled out.
func (l *lab) baseline() string {
	l.Helper()
	var t tree.Track
	pair, _, err := l.root.Get("sluice/tracks/production", nil)
	l.must(err)
	l.must(json.Unmarshal(pair.Value, &t))
	return t.Baseline
}

// back asserts that the canary has the baseline after its next run.
func (l *lab) back(baseline string) {
	l.Helper()
	l.edgesCurrent()
	l.run(canary)
	if env := l.environmentOf(canary); env != baseline {
		l.Errorf("the canary is on %s, want %s", env, baseline)
	}
}

// holds asserts that a rollout stays where it is for a while, with a gate closed that says why.
func (l *lab) holds(name string, stages int, gate, reason string) {
	l.Helper()
	l.eventually(name+" is held by "+gate, func() string {
		for _, g := range l.rollout(name).Status.Gates {
			if g.Name == gate && !g.Open && strings.Contains(g.Reason, reason) {
				return ""
			}
		}
		return fmt.Sprintf("want %q with %q; closed: %s", gate, reason, l.closed(name))
	})
	for range 10 {
		time.Sleep(500 * time.Millisecond)
		if n := len(l.rollout(name).State.Stages); n != stages {
			l.Fatalf("%d stages, want %d: it went on past gate %s", n, stages, gate)
		}
	}
}

func (l *lab) hiddenCompileFailure() {
	base := l.baseline()
	l.deploy("production_h1", "  if $facts['poison'] == 'yes' { fail('poisoned') }\n", "sha-h1")
	l.begin("hidden", "production_h1")
	l.stage("hidden", "canary")
	l.run(canary)
	l.onlyRan("production_h1", canary)
	l.stack.SetFact(canary, "poison", "yes")
	defer l.stack.SetFact(canary, "poison", "no")
	if r := l.run(canary)[canary]; r.ExitCode != 0 {
		l.Errorf("the agent hides its compile failure with exit code %d, expected 0", r.ExitCode)
	}
	l.phase("hidden", "backed_out")
	v := l.rollout("hidden").State.Verdict
	if v == nil || v.Counts.Hidden != 1 || v.Culprit == nil || !strings.Contains(v.Culprit.Message, "poisoned") {
		l.Errorf("verdict %+v", v)
	}
	l.stack.SetFact(canary, "poison", "no")
	l.back(base)
	l.onlyRan("production_h1", canary)
}

func (l *lab) brokenSLI() {
	base := l.baseline()
	for _, n := range l.on() {
		l.must(l.stack.SetSLI(n, "app_errors", 0.001))
	}
	l.deploy("production_s1", "  file { \"${d}/sli\": content => \"app_errors 0.5\\n\" }\n", "sha-s1")
	l.begin("sli", "production_s1", "--policy", "errors")
	l.stage("sli", "canary")
	if r := l.run(canary)[canary]; r.ExitCode != 2 {
		l.Errorf("Puppet is happy with the change: exit code %d, expected 2", r.ExitCode)
	}
	l.phase("sli", "backed_out")
	if v := l.rollout("sli").State.Verdict; v == nil || !strings.Contains(v.Reason, "error_ratio") {
		l.Errorf("verdict %+v", v)
	}
	l.must(os.Remove(filepath.Join(l.stack.ManagedDir(canary), "sli")))
	l.back(base)
	l.onlyRan("production_s1", canary)
}

func (l *lab) silentAgent() {
	base := l.baseline()
	l.run(l.on()...)
	l.deploy("production_q1", "", "sha-q1")
	l.run(canary) // with that policy a node that ran before all others is overdue by now
	l.begin("silent", "production_q1", "--policy", "impatient")
	l.stage("silent", "canary")
	l.run(canary)
	l.onlyRan("production_q1", canary)
	l.eventually("the silent node is named", func() string {
		v := l.rollout("silent").Status.Verdict
		if v.Result == "pass" {
			l.Fatal("a silent node passed")
		}
		if !slices.Contains(v.Counts.SilentNodes, canary) {
			return v.Reason
		}
		return ""
	})
	l.holds("silent", 1, "verdict", canary)
	l.Logf("sluice explain silent:\n%s", l.sluice("explain", "silent"))
	l.sluice("backout", "silent", "--reason", "the canary is gone")
	l.phase("silent", "backed_out")
	l.back(base)
	l.onlyRan("production_q1", canary)
}

func (l *lab) delaysAndTypos() {
	base := l.baseline()
	l.deploy("production_d1", "", "sha-d1")
	l.put("flags/typos/delay", "tomorrow")
	l.begin("typos", "production_d1")
	l.holds("typos", 0, "delay", "neither a time nor a duration")
	l.put("flags/typos/delay", "2h until the audit is over")
	l.holds("typos", 0, "delay", "delayed until")
	l.put("flags/typos/delay", "false")
	l.stage("typos", "canary")
	l.put("flags/typos/pause", "ture")
	l.run(canary)
	l.run(canary)
	l.holds("typos", 1, "pause", "is not true or false")
	l.put("flags/typos/backout", "yess")
	l.put("flags/typos/pause", "false")
	l.holds("typos", 1, "pause", "not as backed out")
	l.put("flags/freeze", "maybe")
	l.put("flags/typos/backout", "false")
	l.put("flags/typos/pause", "off")
	l.holds("typos", 1, "freeze", "frozen")
	l.put("flags/typos/puase", "true")
	l.put("flags/freeze", "false")
	l.holds("typos", 1, "pause", "flags/typos/puase is not a flag")
	l.put("flags/typos/pause", "no")
	l.put("flags/typos/delay", "12s") // before that key goes: a leader may look at once
	_, err := l.root.Delete("sluice/flags/typos/puase", nil)
	l.must(err)
	l.holds("typos", 1, "delay", "delayed until")
	l.stage("typos", "fra1")
	l.sluice("backout", "typos", "--reason", "enough")
	l.phase("typos", "backed_out")
	l.back(base)
	l.onlyRan("production_d1", canary)
}

func (l *lab) candidateMissing() {
	first, second := l.stack.Puppetservers[0], l.stack.Puppetservers[1]
	l.must(first.DeployEnvironment("production_m1", environment("m1", ""), "sha-m1"))
	l.begin("missing", "production_m1")
	l.holds("missing", 0, "edges", "production_m1 is missing on puppet2")
	l.must(second.DeployEnvironment("production_m1", environment("other", ""), "sha-other"))
	l.holds("missing", 0, "edges", "bypass: production_m1")
	l.must(second.DeployEnvironment("production_m1", environment("m1", ""), "sha-m1"))
	l.stage("missing", "canary")
	l.run(canary)
	l.must(second.DeployEnvironment("production_m1", environment("m1 changed", ""), "sha-changed"))
	l.run(canary)
	l.holds("missing", 1, "edges", "bypass")
	if out := l.sluice("explain", "missing"); !strings.Contains(out, "bypass") {
		l.Errorf("explain does not say why:\n%s", out)
	}
	l.must(second.RemoveEnvironment("production_m1"))
	l.holds("missing", 1, "edges", "missing on puppet2")
	for _, e := range l.edges { // an environment that is not there is never answered
		if out, err := l.enc(e, "answer", l.ams1[0]); err != nil || strings.Contains(out, "production_m1") {
			l.Errorf("%s: %v\n%s", e.host, err, out)
		}
	}
	l.must(second.DeployEnvironment("production_m1", environment("m1", ""), "sha-m1"))
	l.stage("missing", "fra1") // all goes on by itself
	l.run(l.fra1...)
	l.run(l.fra1...)
	l.stage("missing", "everyone")
	l.run(l.ams1...)
	l.run(l.ams1...)
	l.phase("missing", "completed")
	l.edgesCurrent()
	l.onlyRan("production_m1", l.on()...)
}

func (l *lab) componentsDown() {
	for _, n := range l.on() {
		l.must(l.stack.SetSLI(n, "app_errors", 0.001))
	}
	l.grafana.SetDown(true) // never delays anything
	l.deploy("production_c1", "", "sha-c1")
	l.begin("outage", "production_c1", "--policy", "errors")
	l.stage("outage", "canary")
	l.put("flags/outage/pause", "true")
	l.run(canary)
	l.run(canary)
	l.holds("outage", 1, "pause", "paused")

	l.must(l.stack.PuppetDB.Stop(l.ctx))
	l.holds("outage", 1, "sources", "PuppetDB reports")
	l.put("flags/outage/pause", "false")
	l.holds("outage", 1, "sources", "PuppetDB reports")
	l.must(l.stack.PuppetDB.Start(l.ctx))
	l.eventually("the rollout goes on when PuppetDB is back", func() string {
		if n := len(l.rollout("outage").State.Stages); n != 2 {
			return l.closed("outage")
		}
		return ""
	})

	// consul-template and its timer are dead on the second puppetserver. That is asked at once: an edge that is silent for longer
	// than live counts as gone.
	second := l.edges[1]
	second.stopTimer()
	second.template.Kill()
	l.must(l.stack.Prometheus.Stop(l.ctx))
	l.holds("outage", 2, "edges", "puppet2")
	l.run(l.fra1...)
	l.run(l.fra1...)
	l.holds("outage", 2, "verdict", "error_ratio")
	l.must(second.template.Start(l.ctx))
	l.startTimer(second)
	l.holds("outage", 2, "verdict", "error_ratio")
	l.must(l.stack.Prometheus.Start(l.ctx))
	l.stage("outage", "everyone")

	l.grafana.SetDown(false) // the next try is up to three minutes away by now

	// Consul is gone: agents get their answers, nothing moves, and afterwards all goes on.
	l.must(l.consul.Stop())
	for n, r := range l.run(canary, l.ams1[0], l.off[0]) {
		if r.ExitCode != 0 && r.ExitCode != 2 {
			l.Errorf("without Consul %s ends with %d\n%s", n, r.ExitCode, tail(r.Output, 10))
		}
	}
	time.Sleep(3 * time.Second)
	l.must(l.consul.Restart(l.ctx))
	l.run(l.ams1...)
	l.run(l.ams1...)
	l.phase("outage", "completed")
	l.onlyRan("production_c1", l.on()...)
	l.eventually("Grafana hears of every stage, once, and each is closed", func() string {
		open, seen := 0, map[string]int{}
		for _, a := range l.grafana.Annotations() {
			if slices.Contains(a.Tags, "rollout:outage") {
				for _, tag := range a.Tags {
					if strings.HasPrefix(tag, "stage:") && a.TimeEnd != a.Time {
						seen[tag]++
					}
				}
				if a.TimeEnd == 0 {
					open++
				}
			}
		}
		if len(seen) != 3 || open > 0 {
			return fmt.Sprintf("%v, %d open", seen, open)
		}
		for tag, n := range seen {
			if n != 1 {
				l.Fatalf("%s was drawn %d times", tag, n)
			}
		}
		return ""
	})
}

func (l *lab) killedAtRandom() {
	l.deploy("production_k1", "", "sha-k1")
	l.begin("killed", "production_k1")
	stop, done := make(chan struct{}), make(chan int)
	second := l.start("sluiced-b", l.bin+"/sluiced", "--config.file", l.config)
	go func() {
		kills := 0
		defer func() { done <- kills }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(2000+rand.IntN(9000)) * time.Millisecond):
			}
			kills++
			victim, name := &l.daemon, "sluiced"
			if kills%2 == 0 {
				victim, name = &second, "sluiced-b"
			}
			(*victim).kill()
			*victim = l.start(name, l.bin+"/sluiced", "--config.file", l.config)
		}
	}()
	l.roll("killed", "production_k1")
	close(stop)
	kills := <-done
	second.kill()
	l.Logf("%d kills", kills)
	if kills < 3 {
		l.Errorf("only %d kills: that shows little", kills)
	}
	l.auditOf("killed", map[string]int{"queued": 1, "rollout_started": 1, "stage_started": 3, "stage_ended": 3, "settling": 1, "completed": 1})
}

// auditOf asserts how often each kind stands in a rollout's audit, and that the chain is whole.
func (l *lab) auditOf(rollout string, want map[string]int) {
	l.Helper()
	pairs, _, err := l.root.List("sluice/audit/", nil)
	l.must(err)
	var entries []tree.AuditEntry
	for _, p := range pairs {
		var e tree.AuditEntry
		if strings.HasSuffix(p.Key, "head") || strings.HasSuffix(p.Key, "notified") {
			continue
		}
		l.must(json.Unmarshal(p.Value, &e))
		entries = append(entries, e)
	}
	if err := tree.VerifyAudit(entries); err != nil {
		l.Error(err)
	}
	got := map[string]int{}
	for _, e := range entries {
		if e.Rollout == rollout {
			got[e.Kind]++
		}
	}
	for kind, n := range want {
		if got[kind] != n {
			l.Errorf("audit of %s has %d × %s, want %d", rollout, got[kind], kind, n)
		}
	}
}

func (l *lab) damagedDocument() {
	base := l.baseline()
	l.deploy("production_t1", "", "sha-t1")
	l.begin("torn", "production_t1")
	l.stage("torn", "canary")
	l.put("flags/torn/pause", "true")
	l.run(canary)
	l.onlyRan("production_t1", canary)
	good, _, err := l.root.Get("sluice/enc/manifest", nil)
	l.must(err)
	older := strings.Replace(string(good.Value), `"generation":`, `"generation":1,"x":`, 1)
	write := func(value string) {
		_, err := l.root.Put(&api.KVPair{Key: "sluice/enc/manifest", Value: []byte(value)}, nil)
		l.must(err)
	}
	l.daemon.kill()
	for what, value := range map[string]string{"torn": string(good.Value[:len(good.Value)/2]), "empty": "", "older": older, "html": "<html>502</html>"} {
		write(value)
		time.Sleep(2 * time.Second)
		l.run(canary, l.ams1[0])
		if a, b := l.environmentOf(canary), l.environmentOf(l.ams1[0]); a != "production_t1" || b != base {
			l.Errorf("%s: the canary is on %s, another node on %s", what, a, b)
		}
		if out, _ := l.enc(l.edges[0], "explain", canary); !strings.Contains(out, "refused: ") {
			l.Errorf("%s: explain says nothing:\n%s", what, out)
		}
	}
	_, err = l.root.Delete("sluice/enc/manifest", nil)
	l.must(err)
	l.run(canary)
	if a := l.environmentOf(canary); a != "production_t1" {
		l.Errorf("deleted: the canary is on %s", a)
	}
	write("")
	l.startDaemon()
	l.eventually("the document is written again", func() string {
		pair, _, err := l.root.Get("sluice/enc/manifest", nil)
		if err != nil || pair == nil || len(pair.Value) == 0 {
			return fmt.Sprint("no manifest ", err)
		}
		return ""
	})
	l.edgesCurrent()
	l.put("flags/torn/pause", "false")
	l.run(canary)
	l.stage("torn", "fra1") // all goes on by itself
	l.sluice("backout", "torn", "--reason", "enough")
	l.phase("torn", "backed_out")
	l.back(base)
	l.onlyRan("production_t1", canary)
}

// cutOff: the second puppetserver hears nothing for hours, then is back with hours of allowance and no more.
func (l *lab) cutOff() {
	base := l.baseline()
	e := l.edges[1]
	e.stopTimer()
	e.template.Kill()
	l.deploy("production_o1", "", "sha-o1")
	l.eventually("the edge no longer counts", func() string {
		pair, _, err := l.root.Get("sluice/edges/puppet2", nil)
		if err != nil || pair == nil {
			return "no report"
		}
		var status struct{ At time.Time }
		l.must(json.Unmarshal(pair.Value, &status))
		if time.Since(status.At) < 61*time.Second {
			return "still live"
		}
		return ""
	})
	l.begin("cut", "production_o1")
	l.stage0("cut", "canary")
	l.run(canary)
	l.run(canary)
	l.stage0("cut", "fra1")
	l.run(l.fra1...)
	l.run(l.fra1...)
	l.stage0("cut", "everyone")
	l.run(l.on()...)
	l.holds("cut", 3, "coverage", l.ams1[0])
	l.onlyRan("production_o1", l.fra1...) // the nodes behind it have what they had
	if env := l.environmentOf(l.ams1[0]); env != base {
		l.Errorf("behind the cut-off puppetserver %s is on %s", l.ams1[0], env)
	}

	// It comes back three hours later by its clock, with a limit of two nodes an hour.
	l.setLimit(e, "{nodes: 2, share: 0%}")
	l.shiftClock(e, 3*time.Hour)
	l.must(e.template.Start(l.ctx))
	l.startTimer(e)
	l.edgesCurrent()
	out, err := l.enc(e, "status")
	if err != nil || !strings.Contains(out, "waits for the speed limit") {
		l.Errorf("%v\n%s", err, out)
	}
	l.run(l.ams1...)
	late := 0
	for _, n := range l.ran("production_o1") {
		if slices.Contains(l.ams1, n) {
			late++
		}
	}
	if late == len(l.ams1) {
		l.Error("everybody behind it went at once")
	}
	l.setLimit(e, "{nodes: 100000}")
	l.shiftClock(e, 2*time.Hour)
	l.run(l.ams1...)
	l.run(l.ams1...)
	l.phase("cut", "completed")
	l.onlyRan("production_o1", l.on()...)
}

// stage0 is stage without waiting for every edge.
func (l *lab) stage0(name, stage string) {
	l.Helper()
	l.eventually(name+" reaches stage "+stage, func() string {
		s := l.rollout(name).State
		if i := s.Current(); i < 0 || s.Stages[i].Name != stage || s.Stages[i].Full.IsZero() {
			return "closed: " + l.closed(name)
		}
		return ""
	})
	time.Sleep(3 * time.Second) // the live edge renders and accepts
}

func (l *lab) setLimit(e *edgeHost, limit string) {
	l.Helper()
	data, err := os.ReadFile(e.config)
	l.must(err)
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "limit: ") {
			lines[i] = "limit: " + limit
		}
	}
	l.must(os.WriteFile(e.config, []byte(strings.Join(lines, "\n")), 0o644))
}

// shiftClock lets time pass for an edge: what it remembers lies that much further back.
func (l *lab) shiftClock(e *edgeHost, by time.Duration) {
	l.Helper()
	path := filepath.Join(e.state, "state.json")
	data, err := os.ReadFile(path)
	l.must(err)
	var s map[string]json.RawMessage
	l.must(json.Unmarshal(data, &s))
	for _, key := range []string{"counted", "accepted_at"} {
		var at time.Time
		l.must(json.Unmarshal(s[key], &at))
		s[key], err = json.Marshal(at.Add(-by))
		l.must(err)
	}
	s["saved"] = json.RawMessage("0")
	data, err = json.Marshal(s)
	l.must(err)
	l.must(os.WriteFile(path, data, 0o644))
}

func (l *lab) restoredSnapshot() {
	base := l.baseline()
	l.deploy("production_r1", "", "sha-r1")
	l.begin("restored", "production_r1")
	l.stage("restored", "canary")
	l.run(canary)
	l.onlyRan("production_r1", canary)
	snapshot := filepath.Join(l.dir, "consul.snap")
	l.must(l.consul.Save(l.ctx, snapshot))
	l.put("flags/restored/backout", "true it is bad")
	l.phase("restored", "backed_out")
	l.back(base)
	l.must(l.consul.Restore(l.ctx, snapshot))
	l.eventually("the leader sees that the store is behind", func() string {
		out, _ := l.trySluice(l.token, "explain", "restored")
		if !strings.Contains(out, "confirm-restore") && l.rollout("restored").State.Phase != "backed_out" {
			return out
		}
		return ""
	})
	l.run(l.fra1...)
	if env := l.environmentOf(canary); env != base {
		l.Errorf("the restored snapshot gave the canary %s", env)
	}
	l.sluice("confirm-restore", "--reason", "Consul was restored from a backup")
	l.phase("restored", "backed_out")
	l.back(base)
	l.run(l.fra1...)
	l.onlyRan("production_r1", canary)
	l.deploy("production_r2", "", "sha-r2")
	l.begin("after", "production_r2")
	l.stage("after", "canary") // all goes on
	l.sluice("backout", "after", "--reason", "enough")
	l.phase("after", "backed_out")
}

// parameters: the change is a feature flag in the ENC's answer, and the code under it stays the baseline's.
// flagged is an environment with the module, whose nodes have a file with the flag's name where it is given.
func (l *lab) flagged(name, flag, more string) map[string]string {
	l.Helper()
	code := environment(name, fmt.Sprintf("  include sluice\n  if sluice::enabled('%[1]s') { file { \"${d}/%[1]s\": content => \"yes\\n\" } }\n", flag)+more)
	l.must(filepath.WalkDir("../../deploy/puppet/sluice", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pp" {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel("../../deploy/puppet", path)
		code["modules/"+rel] = string(data)
		return err
	}))
	return code
}

// with are the nodes that have it.
func (l *lab) with(flag string) []string {
	var out []string
	for _, n := range l.on() {
		if _, err := os.Stat(filepath.Join(l.stack.ManagedDir(n), flag)); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func (l *lab) parameters() {
	base := l.baseline()
	code := l.flagged(base, "hardening", "")
	for _, p := range l.stack.Puppetservers {
		l.must(p.DeployEnvironment(base, code, "sha-with-flag"))
	}
	l.run(l.on()...)
	only := func(want []string) {
		l.Helper()
		want = slices.Sorted(slices.Values(want))
		if got := l.with("hardening"); !slices.Equal(got, want) {
			l.Errorf("hardened are %v, want %v", got, want)
		}
	}
	l.sluice("start", "hardening", "--track", "production", "--parameter", "hardening=true", "--schedule", "three", "--wait", "90s", "--reason", "sshd hardening")
	l.stage("hardening", "canary")
	l.run(l.on()...)
	only([]string{canary})
	l.run(canary)
	l.stage("hardening", "fra1")
	l.run(l.on()...)
	only(l.fra1)
	l.run(l.fra1...)
	l.stage("hardening", "everyone")
	l.run(l.on()...)
	only(l.on())
	l.run(l.ams1...)
	l.phase("hardening", "completed")
	l.edgesCurrent()
	l.run(canary, l.ams1[0])
	only(l.on())
	if env := l.environmentOf(canary); env != base {
		l.Errorf("the canary is on %s", env)
	}
	// The catalog says which flags it was compiled with.
	resp, err := http.Get(l.stack.PuppetDB.URL + "/pdb/query/v4?" + url.Values{"query": {`resources[parameters]{certname = "` + canary + `" and type = "Class" and title = "Sluice"}`}}.Encode())
	l.must(err)
	defer resp.Body.Close()
	var found []struct {
		Parameters struct {
			Given map[string]any `json:"given"`
		} `json:"parameters"`
	}
	l.must(json.NewDecoder(resp.Body).Decode(&found))
	if len(found) != 1 || found[0].Parameters.Given["hardening"] != true {
		l.Errorf("PuppetDB has of class sluice: %+v", found)
	}
}
