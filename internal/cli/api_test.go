package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/api"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/internal/web"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/segments"
)

// served is the API as sluiced serves it, on the store that is current.
type served struct {
	t     *testing.T
	base  string
	url   string // of the API
	store store.Store
}

func serve(t *testing.T) *served { return serveAs(t, "") }

// serveAs serves with a web configuration file.
func serveAs(t *testing.T, file string) *served {
	s := &served{t: t}
	current := func() store.Store { return s.store }
	now := newSite(t).p.now
	handler := api.New(api.Options{Store: current, Desk: current, Now: now, Log: zerolog.Nop(), Why: func(ctx context.Context, snap *tree.Snapshot, certname, track string) (why.View, error) {
		return why.Of(snap, why.Ask{Certname: certname, Track: track, Now: now(), Member: fetched(ctx, s.store)})
	}})
	nothing := func() error { return nil }
	server, err := web.New(web.Options{ListenAddress: []string{"127.0.0.1:0"}, WebConfigFile: file, Ready: nothing, Reload: nothing, API: handler, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s.base = "http://" + server.Addr()
	s.url = s.base + "/api/v1/"
	return s
}

// by runs a command that asks the API.
func (s *served) by(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	one := bareSite(s.t)
	one.p.open, one.p.getenv = openStore, func(name string) string { return map[string]string{envAPI: s.base}[name] }
	return one.run(args...)
}

// post asks for a verb, and returns the status and the answer.
func (s *served) post(name, body string) (int, map[string]any) {
	s.t.Helper()
	v, _ := verb.Named(name)
	resp, err := http.Post(s.url+"verbs/"+v.Path(), "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		s.t.Fatalf("%s %s: %d %q: %v", name, body, resp.StatusCode, data, err)
	}
	return resp.StatusCode, out
}

// asked is the same thing asked of both.
type asked struct {
	args []string
	verb string
	body string
}

// both has a line for every verb; the key is that of gate.Verbs where it has one.
var both = map[string]asked{
	"pause":           {[]string{"pause", "ntp"}, "pause", `"rollouts":["ntp"]`},
	"resume":          {[]string{"resume", "ntp"}, "resume", `"rollouts":["ntp"]`},
	"delay":           {[]string{"delay", "ntp", "2h"}, "delay", `"rollouts":["ntp"],"for":"2h"`},
	"backout":         {[]string{"backout", "ntp"}, "backout", `"rollouts":["ntp"]`},
	"backout --where": {[]string{"backout", "ntp", "--where", fra1}, "backout", `"rollouts":["ntp"],"where":"{enc.datacenter=\"fra1\"}"`},
	"approve":         {[]string{"approve", "ntp", "rest"}, "approve", `"rollouts":["ntp"],"stage":"rest"`},
	"deny":            {[]string{"deny", "ntp", "rest"}, "deny", `"rollouts":["ntp"],"stage":"rest"`},
	"promote --now":   {[]string{"promote", "ntp", "--now", "--wait", "0"}, "promote", `"rollout":"ntp","now":true`},
	"skip":            {[]string{"skip", "ntp", "quarter", "--wait", "0"}, "skip", `"rollout":"ntp","stage":"quarter"`},
	"unveto --where":  {[]string{"unveto", "ntp", "--where", "fra1", "--wait", "0"}, "unveto", `"name":"ntp","where":"fra1"`},
	"unveto":          {[]string{"unveto", "ntp", "--wait", "0"}, "unveto", `"name":"ntp"`},
	"revert":          {[]string{"revert", "ntp", "--schedule", "careful", "--wait", "0"}, "revert", `"rollout":"ntp","schedule":"careful"`},
	"freeze":          {[]string{"freeze"}, "freeze", ``},
	"hold add":        {[]string{"hold", "add", "h", fra1, "--for", "1h"}, "hold add", `"id":"h","selector":"{enc.datacenter=\"fra1\"}","for":"1h"`},
	"pin":             {[]string{"pin", "db1", "--to", "baseline", "--for", "1h"}, "pin", `"certname":"db1","to":"baseline","for":"1h"`},

	"freeze --end":    {[]string{"freeze", "--end"}, "freeze", `"end":true`},
	"hold expire":     {[]string{"hold", "expire", "old"}, "hold expire", `"id":"old"`},
	"unpin":           {[]string{"unpin", "db2"}, "unpin", `"certname":"db2"`},
	"veto":            {[]string{"veto", "production_bad"}, "veto", `"environment":"production_bad"`},
	"start":           {[]string{"start", "--environment", "production_9", "--schedule", "careful", "--wait", "0"}, "start", `"environment":"production_9","schedule":"careful"`},
	"start flags":     {[]string{"start", "motd", "--parameter", "motd=on", "--schedule", "careful", "--policy", "strict", "--wait", "0"}, "start", `"name":"motd","parameters":{"motd":"on"},"schedule":"careful","policy":"strict"`},
	"confirm-restore": {[]string{"confirm-restore", "--wait", "0"}, "confirm-restore", ``},
	"delay --select":  {[]string{"delay", "-l", `track="production"`, "2026-12-01T08:00:00Z"}, "delay", `"select":"track=\"production\"","until":"2026-12-01T08:00:00Z"`},
	"pause --all":     {[]string{"pause", "--all"}, "pause", `"all":true`},
	"approve several": {[]string{"approve", "ntp", "dns", "rest"}, "approve", `"rollouts":["ntp","dns"],"stage":"rest"`},
}

// exits are the exit codes that mean the same as a status.
var exits = map[int]int{200: ExitOK, 202: ExitOK, 400: ExitUsage, 404: ExitError, 503: ExitError, 409: ExitConflict}

// TestAPIDoesAsTheCommandLine: every verb in every phase, asked of both on stores that are alike: the same is written, but for the name of who
// asked, the same is said, and what one refuses the other refuses with the same words. What the audit says is made of what is written.
func TestAPIDoesAsTheCommandLine(t *testing.T) {
	server := serve(t)
	for _, v := range verb.All {
		if !slices.ContainsFunc(slices.Collect(values(both)), func(a asked) bool { return a.verb == v.Name }) {
			t.Errorf("no line for %s", v.Name)
		}
	}
	for _, v := range gate.Verbs {
		if _, ok := both[v.Name]; !ok {
			t.Errorf("no line for %s", v.Name)
		}
	}
	for name, ask := range both {
		for _, phase := range gate.Phases {
			t.Run(name+" "+phase.String(), func(t *testing.T) { ask.inPhase(t, server, name, phase) })
		}
	}
}

func values(m map[string]asked) func(func(asked) bool) {
	return func(yield func(asked) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func (a asked) inPhase(t *testing.T, server *served, name string, phase gate.Phase) {
	one := bareSite(t)
	one.store = mem.New().As("ANNA")
	one.ok("init", "--track", "production=production_a")
	one.publish(func(d *segments.Document) { d.Tracks[0].Baseline = "production_8f3c2d1a" })
	one.put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_8f3c2d1a"})
	one.rollout("ntp", func(r *tree.Rollout) { inPhase(r, phase) })
	one.rollout("dns", nil)
	one.put(tree.HoldKey("old"), gate.Hold{ID: "old", Selector: "{}", Until: t0.AddDate(1, 0, 0), By: "ben"})
	one.put(tree.PinKey("db2"), gate.Pin{Certname: "db2", To: segments.ToBaseline, Until: t0.AddDate(1, 0, 0), By: "ben"})
	other, third := copyOf(one), copyOf(one)
	code, out, errOut := one.run(append(slices.Clone(a.args), "--reason", "drill")...)

	server.t, server.store = t, other.store
	body := strings.TrimSuffix(`{"reason":"drill",`+a.body, ",") + "}"
	status, got := server.post(a.verb, body)

	if exit, known := exits[status]; !known || exit != code {
		t.Errorf("exit %d, status %d: %q, %v", code, status, errOut, got)
	}
	lines := func(s *site) []string {
		return strings.Split(strings.ReplaceAll(s.all(), "loopback (unverified)", "ANNA"), "\n")
	}
	if diff := cmp.Diff(lines(one), lines(other)); diff != "" {
		t.Errorf("the command line wrote -, the API +:\n%s", diff)
	}
	var said []string
	for _, line := range list(got["said"]) {
		said = append(said, line.(string))
	}
	if text := strings.Join(said, "\n"); text != strings.TrimSpace(out) {
		t.Errorf("the API says\n%s\nthe command line\n%s", text, out)
	}
	problem, _ := got["error"].(string)
	if text := strings.TrimSpace(strings.TrimPrefix(errOut, "sluice: ")); strings.ReplaceAll(problem, "loopback (unverified)", "ANNA") != text {
		t.Errorf("the API refuses with %q, the command line with %q", problem, text)
	}
	server.store = third.store
	wayCode, wayOut, wayErr := server.by(append(slices.Clone(a.args), "--reason", "drill")...)
	anna := strings.NewReplacer("loopback (unverified)", "ANNA")
	if diff := cmp.Diff(lines(one), lines(third)); diff != "" || wayCode != code || anna.Replace(wayOut) != out || spoken(anna.Replace(wayErr)) != spoken(errOut) {
		t.Errorf("by the API exit %d, %q %q, by the store %d, %q %q; written (-store +API):\n%s", wayCode, wayOut, wayErr, code, out, errOut, diff)
	}
	if e, known := gate.EffectOf(name, phase); known && e.Refused != "" && got["phase"] != phase.String() {
		t.Errorf("refused for the phase %s, and it says %v", phase, got)
	}
}

// copyOf is another site with the same in its store.
func copyOf(s *site) *site {
	s.t.Helper()
	other := bareSite(s.t)
	entries, _, err := s.store.List(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		other.put(e.Key, string(e.Value))
	}
	return other
}

// spoken leaves out how a field is spelled: the API does not know flags.
func spoken(text string) string { return strings.ReplaceAll(text, "--", "") }

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// TestAPIBadInput: what is not in order is refused by both with the same words, each spelling the field as it has it, and nothing is
// written.
func TestAPIBadInput(t *testing.T) {
	server := serve(t)
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { r.Spec.Schedule.Stages[2].Approvers = []string{"ben@example.com"} })
	server.store = s.store
	before := s.all()
	for _, c := range []struct {
		asked
		status int
		field  string
		want   string
	}{
		{asked{[]string{"hold", "add", "h", "{}"}, "hold add", `"id":"h","selector":"{}"`}, 400, "until", "a hold needs an end: give until TIME or for DURATION, one of them"},
		{asked{[]string{"hold", "add", "h", "{}", "--until", "2026-11-03 08:00 Europe/Berlin"}, "hold add", `"id":"h","selector":"{}","until":"2026-11-03 08:00 Europe/Berlin"`}, 400, "until", "is no time (expected 2026-01-31T08:00:00Z)"},
		{asked{[]string{"hold", "add", "h", `{datacenter="x"}`, "--for", "1h"}, "hold add", `"id":"h","selector":"{datacenter=\"x\"}","for":"1h"`}, 400, "selector", "unknown attribute"},
		{asked{[]string{"pause", "-l", "track=staging"}, "pause", `"select":"track=staging"`}, 404, "select", "no rollout that has not ended matches"},
		{asked{[]string{"delay", "-l", "track=staging", "2h"}, "delay", `"select":"track=staging","for":"2h"`}, 404, "select", "no rollout that has not ended matches"},
		{asked{[]string{"approve", "-l", "datacenter=x", "rest"}, "approve", `"select":"datacenter=x","stage":"rest"`}, 400, "select", "unknown attribute"},
		{asked{[]string{"delay", "ntp", "soon"}, "delay", `"rollouts":["ntp"],"for":"soon"`}, 400, "for", "neither a time nor a duration"},
		{asked{[]string{"pause", "ntp", "npt"}, "pause", `"rollouts":["ntp","npt"]`}, 404, "rollouts[1]", `no rollout "npt"; did you mean ntp?`},
		{asked{[]string{"pin", "a", "--to", "production_b", "--for", "1h"}, "pin", `"certname":"a","to":"production_b","for":"1h"`}, 400, "to", "expected baseline or candidate"},
		{asked{[]string{"promote", "ntp"}, "promote", `"rollout":"ntp"`}, 400, "now", "say now"},
		{asked{[]string{"start", "x", "--parameter", "a=1"}, "start", `"name":"x","parameters":{"a":1}`}, 400, "schedule", "expected the name of a schedule"},
		{asked{[]string{"start", "--environment", "b", "--schedule", "careful", "--track", "p"}, "start", `"environment":"b","schedule":"careful","track":"p"`}, 400, "track", "expected one of production"},
		{asked{[]string{"approve", "ntp", "rest"}, "approve", `"rollouts":["ntp"],"stage":"rest"`}, 409, "", "may be approved by ben@example.com, not by"},
		{asked{[]string{"backout", "ntp", "--where", "{}"}, "backout", `"rollouts":["ntp"],"where":"{}"`}, 400, "where", "is every node"},
	} {
		code, _, errOut := s.run(append(slices.Clone(c.args), "--reason", "drill")...)
		status, got := server.post(c.verb, strings.TrimSuffix(`{"reason":"drill",`+c.body, ",")+"}")
		problem, _ := got["error"].(string)
		field, _ := got["field"].(string)
		if status != c.status || field != c.field || !strings.Contains(problem, c.want) || exits[status] != code {
			t.Errorf("%s {%s}: %d %v; the command line: exit %d", c.verb, c.body, status, got, code)
		}
		strip := func(text string) string {
			text = strings.NewReplacer("--", "", "loopback (unverified)", "WHO", "anna@example.com (token 1234abcd)", "WHO").Replace(text)
			return strings.TrimSpace(strings.TrimPrefix(text, "sluice: "))
		}
		if strip(problem) != strip(errOut) {
			t.Errorf("%s: the API says %q, the command line %q", c.verb, problem, errOut)
		}
	}
	if s.all() != before {
		t.Error("something was written")
	}
}
