package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/api"
	"github.com/openinfrastructure/sluice/internal/cli"
	"github.com/openinfrastructure/sluice/internal/notify/grafanatest"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// sluice runs the command line on the lab's directory.
func (l *lab) sluice(args ...string) string {
	l.Helper()
	var out, errOut bytes.Buffer
	if code := cli.Run(l.Context(), append([]string{"--store.dir", l.tree}, args...), strings.NewReader(""), &out, &errOut); code != 0 {
		l.Fatalf("sluice %q: exit %d: %s", args, code, errOut.String())
	}
	return out.String()
}

// shown is what an interface says of a rollout.
type shown struct {
	Phase   string
	Verdict string
	Gates   []gate.Gate
	Why     string
}

// byCLI is what `sluice explain` says; byAPI what GET rollouts/NAME does.
func (l *lab) byCLI(name string) shown {
	l.Helper()
	var v struct {
		Phase, Why string
		Gates      []gate.Gate
		Verdict    struct{ Result string }
	}
	l.must(json.Unmarshal([]byte(l.sluice("explain", name, "-o", "json")), &v))
	return shown{v.Phase, v.Verdict.Result, v.Gates, v.Why}
}

func (l *lab) byAPI(name string) shown {
	l.Helper()
	w := httptest.NewRecorder()
	api.New(api.Options{Store: func() store.Store { return l.kv }, Log: zerolog.Nop()}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/rollouts/"+name, nil))
	var v struct {
		State  struct{ Phase, Reason string }
		Status struct {
			Gates   []gate.Gate
			Verdict struct{ Result string }
		}
	}
	l.must(json.Unmarshal(w.Body.Bytes(), &v))
	return shown{v.State.Phase, v.Status.Verdict.Result, v.Status.Gates, v.State.Reason}
}

// agree holds the two to the same words for the same state, and to those that the code defines.
func (l *lab) agree(when, name string) shown {
	l.Helper()
	a, b := l.byAPI(name), l.byCLI(name)
	if a.Phase != b.Phase || a.Verdict != b.Verdict {
		l.Errorf("%s: the API says %s, %s, the command line %s, %s", when, a.Phase, a.Verdict, b.Phase, b.Verdict)
	}
	if diff := cmp.Diff(a.Gates, b.Gates); diff != "" && !gate.Phase(l.state(name).Phase).Ended() {
		l.Errorf("%s: gates of the API -, of the command line +:\n%s", when, diff)
	}
	text := l.sluice("explain", name)
	for _, g := range b.Gates {
		if !slices.Contains(gate.GateNames, g.Name) {
			l.Errorf("%s: no gate is called %q", when, g.Name)
		}
		if g.Source == "" || g.Value == "" && slices.Contains([]string{gate.GateBake, gate.GateCoverage, gate.GateRamp, gate.GateVerdict, gate.GatePause, gate.GateFreeze, gate.GateEdges}, g.Name) {
			l.Errorf("%s: gate %s has no value or source of its own: %+v", when, g.Name, g)
		}
		if !strings.Contains(text, g.Name) || !strings.Contains(text, g.Reason) || g.Since.IsZero() {
			l.Errorf("%s: explain does not have %s, %q, since %s:\n%s", when, g.Name, g.Reason, g.Since, text)
		}
	}
	if !slices.ContainsFunc(gate.Phases, func(p gate.Phase) bool { return p.String() == b.Phase }) {
		l.Errorf("%s: no phase is called %q", when, b.Phase)
	}
	return b
}

// reason is a gate's.
func (s shown) reason(name string) string {
	for _, g := range s.Gates {
		if g.Name == name && !g.Open {
			return g.Reason
		}
	}
	return ""
}

// TestSameWords: for the same state the command line, the API, the audit and Grafana's annotation have the same words: the name of each gate and its
// reason, the phase, the verdict, the kind of an event and its text. What the command line says of a stop that the leader has not looked at yet
// is what the leader will say.
func TestSameWords(t *testing.T) {
	l := newDirLab(t, 8)
	grafana := grafanatest.New(t)
	l.write("grafana.token", grafanatest.Token)
	l.extra = fmt.Sprintf("grafana: {url: %q, token_file: grafana.token}\n", grafana.URL)
	l.lead()
	l.start("ntp", "production_2")
	l.look()
	l.agree("at its start", "ntp")
	l.untilStage("ntp", 1)
	l.tick()
	l.agree("in its first stage", "ntp")
	for _, c := range []struct {
		gate string
		stop func()
		end  func()
		want string
	}{
		{gate.GatePause, func() { l.sluice("pause", "ntp", "--reason", "link flaps") }, func() { l.sluice("resume", "ntp", "--reason", "it is mended") }, "link flaps"},
		{gate.GateFreeze, func() { l.sluice("freeze", "--reason", "incident 4711") }, func() { l.sluice("freeze", "--end", "--reason", "over") }, "incident 4711"},
		{gate.GatePause, func() { l.edit("flags/ntp/pause", "true switch upgrade") }, func() { l.edit("flags/ntp/pause", "false") }, "flags/ntp/pause (switch upgrade)"},
		{gate.GatePause, func() { l.edit("flags/ntp/pause", "maybe") }, func() { l.edit("flags/ntp/pause", "false") }, "is not true or false"},
		{gate.GateFreeze, func() { l.edit("flags/freeze", "on") }, func() { l.edit("flags/freeze", "off") }, "by flags/freeze"},
	} {
		c.stop()
		before := l.byCLI("ntp").reason(c.gate)
		l.look()
		after := l.agree(c.gate, "ntp").reason(c.gate)
		if before != after || !strings.Contains(before, c.want) {
			t.Errorf("%s: %q before the leader looked, %q after", c.gate, before, after)
		}
		c.end()
		l.look()
		if got := l.agree("after the end", "ntp").reason(c.gate); got != "" {
			t.Errorf("%s is closed after its end: %s", c.gate, got)
		}
	}
	for _, args := range [][]string{{"delay", "ntp", "2h", "--reason", "backup"}, {"hold", "add", "upgrade", "{}", "--for", "2000d", "--reason", "switches"}} {
		l.sluice(args...)
		l.look()
		l.agree(args[0], "ntp")
	}

	l.sluice("backout", "ntp", "--reason", "sshd does not start")
	before, _, _ := strings.Cut(l.byCLI("ntp").Why, "; ")
	l.look()
	after := l.agree("backed out", "ntp")
	chain := l.chain()
	last := chain[len(chain)-1]
	if !strings.HasPrefix(before, "backed out by ") || !strings.Contains(before, "sshd does not start") || after.Why != before || l.byAPI("ntp").Why != before || last.Text != before {
		t.Errorf("before the leader looked %q, after %q, by the API %q, in the audit %q", before, after.Why, l.byAPI("ntp").Why, last.Text)
	}
	if last.Kind != gate.EventBackedOut || last.Kind != after.Phase {
		t.Errorf("the audit says %s, the phase is %s", last.Kind, after.Phase)
	}

	l.l.site.close(t.Context()) // tells what it still has to tell
	var texts []string
	for _, a := range grafana.Annotations() {
		texts = append(texts, a.Text+" "+strings.Join(a.Tags, " "))
	}
	for _, e := range chain {
		if _, told := toEvent(e); told && !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, e.Text) }) {
			t.Errorf("no annotation says %q:\n%s", e.Text, strings.Join(texts, "\n"))
		}
	}
	if all := strings.Join(texts, "\n"); !strings.Contains(all, before) || !strings.Contains(all, last.Kind) {
		t.Errorf("no annotation says %q, %s:\n%s", before, last.Kind, all)
	}
}

// TestEventKinds: people's systems hear an event by the name that the audit has for it.
func TestEventKinds(t *testing.T) {
	told := 0
	for _, kind := range []string{gate.EventStarted, gate.EventStage, gate.EventGrown, gate.EventStageEnded, gate.EventSettling, gate.EventCompleted, gate.EventBackedOut,
		gate.EventSuperseded, gate.EventSkipped, gate.EventCaps, gate.EventReturned, gate.EventPromoted, gate.EventSkip} {
		if e, ok := toEvent(tree.AuditEntry{Kind: kind, Rollout: "ntp"}); ok {
			if told++; e.Kind != kind {
				t.Errorf("%s is told as %s", kind, e.Kind)
			}
		}
	}
	if told < 6 {
		t.Errorf("%d kinds are told", told)
	}
}

// TestSince: a gate's time is that of its last opening or closing, and a new leader goes on with it.
func TestSince(t *testing.T) {
	l := newLab(t, 8).lead()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 1)
	l.set("flags/ntp/pause", "true")
	l.look()
	at := l.now
	since := func() time.Time {
		for _, g := range l.snapshot().Rollout("ntp").Status.Gates {
			if g.Name == gate.GatePause {
				return g.Since
			}
		}
		return time.Time{}
	}
	l.tick()
	l.failover()
	l.tick()
	if got := since(); !got.Equal(at) {
		t.Errorf("paused since %s, want %s", got, at)
	}
	l.set("flags/ntp/pause", "false")
	l.tick()
	if got := since(); !got.Equal(l.now) {
		t.Errorf("open since %s, want %s", got, l.now)
	}
}
