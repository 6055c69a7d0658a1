package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/api"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/web"
	"github.com/openinfrastructure/sluice/segments"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// lab is the API behind the server that sluiced runs, on a store with one rollout, whose stage rest only ben may approve.
type lab struct {
	t     *testing.T
	kv    store.Store
	url   string
	users string
}

func newLab(t *testing.T, users ...string) *lab {
	l := &lab{t: t, kv: mem.New()}
	manifest, err := enc.Encode(segments.Document{Format: segments.Format, Epoch: "e", Generation: 1, Written: t0, Tracks: []segments.Track{{Name: "production", Baseline: "production_a"}}})
	l.must(err)
	l.put(tree.ManifestKey, string(manifest))
	l.put(tree.InitKey, tree.Init{Format: 1, Epoch: "e", Created: t0, By: "x"})
	l.put(tree.StopsKey, tree.Stops{})
	l.put(tree.AuditHeadKey, tree.AuditHead{})
	l.put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_a"})
	l.put(tree.SpecKey("ntp"), gate.Spec{Name: "ntp", Salt: "ntp", Track: "production", Candidate: "production_b", By: "x", Reason: "x", Created: t0,
		Schedule: schedule.Schedule{Stages: []schedule.Stage{{Name: "one"}, {Name: "rest", Approval: true, Approvers: []string{"ben"}}}}})
	l.put(tree.StateKey("ntp"), gate.State{Phase: gate.Running, Since: t0, Stages: []gate.StageState{{Name: "one", Threshold: segments.All, Since: t0}}})
	if len(users) > 0 {
		l.users = filepath.Join(t.TempDir(), "web.yml")
		text := "basic_auth_users:\n"
		for _, u := range users {
			hash, err := bcrypt.GenerateFromPassword([]byte("pw-"+u), bcrypt.MinCost)
			l.must(err)
			text += fmt.Sprintf("  %q: %q\n", u, hash)
		}
		l.must(os.WriteFile(l.users, []byte(text), 0o600))
	}
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) put(key string, v any) {
	l.t.Helper()
	data, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		l.must(err)
		data = string(b)
	}
	l.must(l.kv.Txn(l.t.Context(), store.Set(key, []byte(data))))
}

// serve serves until the test ends; desk nil is an API without verbs.
func (l *lab) serve(desk func() store.Store) *lab {
	nothing := func() error { return nil }
	h := api.New(api.Options{Store: func() store.Store { return l.kv }, Desk: desk, Now: func() time.Time { return t0 }, Log: zerolog.Nop()})
	s, err := web.New(web.Options{ListenAddress: []string{"127.0.0.1:0"}, WebConfigFile: l.users, Ready: nothing, Reload: nothing, API: h, Log: zerolog.Nop()})
	l.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	l.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		l.must(<-ended)
	})
	l.url = "http://" + s.Addr() + "/api/v1/"
	return l
}

func (l *lab) enabled() *lab { return l.serve(func() store.Store { return l.kv }) }

// ask makes a request and returns status and body.
func (l *lab) ask(method, path, body string, change ...func(*http.Request)) (int, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, strings.NewReader(body))
	l.must(err)
	req.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultClient.Do(req)
	l.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, string(data)
}

// all is everything in the store.
func (l *lab) all() string {
	l.t.Helper()
	entries, _, err := l.kv.List(l.t.Context(), "")
	l.must(err)
	return fmt.Sprint(entries)
}

func (l *lab) get(key string) string {
	l.t.Helper()
	e, err := l.kv.Get(l.t.Context(), key)
	l.must(err)
	return string(e.Value)
}

const pauseNTP = `{"reason":"drill","rollouts":["ntp"]}`

func as(user string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, "pw-"+user) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestWhoMayWrite: without an identity, from another origin or with verbs that are not enabled nothing is written.
func TestWhoMayWrite(t *testing.T) {
	open, closed, off := newLab(t).enabled(), newLab(t, "anna").enabled(), newLab(t).serve(nil)
	for name, c := range map[string]struct {
		lab    *lab
		change func(*http.Request)
		status int
	}{
		"nobody":               {closed, func(*http.Request) {}, 401},
		"a wrong password":     {closed, func(r *http.Request) { r.SetBasicAuth("anna", "x") }, 401},
		"an unknown user":      {closed, as("eve"), 401},
		"another origin":       {closed, func(r *http.Request) { as("anna")(r); header("Sec-Fetch-Site", "cross-site")(r) }, 403},
		"a form of a page":     {closed, func(r *http.Request) { as("anna")(r); header("Content-Type", "text/plain")(r) }, 415},
		"no content type":      {closed, func(r *http.Request) { as("anna")(r); r.Header.Del("Content-Type") }, 415},
		"through a proxy":      {open, header("X-Forwarded-For", "192.0.2.1"), 403},
		"another name of host": {open, func(r *http.Request) { r.Host = "sluice.example.com" }, 403},
		"not enabled":          {off, func(*http.Request) {}, 403},
	} {
		before := c.lab.all()
		status, body := c.lab.ask("POST", "verbs/pause", pauseNTP, c.change)
		if status != c.status || c.lab.all() != before {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if status == 403 && !strings.HasPrefix(body, `{"error":"`) {
			t.Errorf("%s: %q is no JSON", name, body)
		}
	}
	if status, _ := open.ask("GET", "verbs/pause", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
}

// TestWhoIsWhoAsks: the name in the store is the one that was proven, whatever the body says, and only who is named approves.
func TestWhoIsWhoAsks(t *testing.T) {
	l := newLab(t, "anna", "ben", "ben or anna").enabled()
	status, body := l.ask("POST", "verbs/pause", `{"reason":"by=ben: drill","rollouts":["ntp"]}`, as("anna"))
	if got := l.get("flags/ntp/pause"); status != 200 || got != "true by=anna (api, basic): by=ben: drill" {
		t.Errorf("%d %s: %q", status, body, got)
	}
	before := l.all()
	for _, body := range []string{`{"reason":"x","rollouts":["ntp"],"by":"ben"}`, `{"reason":"x","rollouts":["ntp"],"who":"ben"}`} {
		if status, got := l.ask("POST", "verbs/pause", body, as("anna")); status != 400 {
			t.Errorf("%d %s", status, got)
		}
	}
	const approve = `{"reason":"by=ben","rollouts":["ntp"],"stage":"rest"}`
	for _, who := range []string{"anna", "ben or anna"} {
		if status, body := l.ask("POST", "verbs/approve", approve, as(who)); status != 409 || !strings.Contains(body, "may be approved by ben, not by") {
			t.Errorf("%s: %d %s", who, status, body)
		}
	}
	if l.all() != before {
		t.Error("something was written")
	}
	if status, body := l.ask("POST", "verbs/approve", approve, as("ben")); status != 200 || l.get("flags/ntp/approve/rest") != "true by=ben (api, basic): by=ben" {
		t.Errorf("%d %s: %q", status, body, l.get("flags/ntp/approve/rest"))
	}
}

// TestBadRequests: each is refused with the field and what was expected, and nothing is written.
func TestBadRequests(t *testing.T) {
	l := newLab(t).enabled()
	before := l.all()
	for _, c := range []struct {
		verb, body string
		status     int
		field      string
		want       string
	}{
		{"pause", ``, 400, "", "it ends too early"},
		{"pause", `[]`, 400, "", "expected a JSON object"},
		{"pause", `{"reason":"x","rollouts":["ntp"]`, 400, "", "it ends too early"},
		{"pause", `{"reason":"x","rollouts":["ntp"]} {}`, 400, "", "nothing after the object"},
		{"pause", `{"rollouts":["ntp"]}`, 400, "reason", "one sentence for the audit"},
		{"pause", `{"reason":" \n","rollouts":["ntp"]}`, 400, "reason", "one sentence for the audit"},
		{"pause", `{"reason":"` + strings.Repeat("x", 2001) + `","rollouts":["ntp"]}`, 400, "reason", "at most 2000 fit"},
		{"pause", `{"reason":"x","rollouts":"ntp"}`, 400, "rollouts", "expected a list of strings, got string"},
		{"pause", `{"reason":"x","rollouts":[1]}`, 400, "rollouts", "expected a list of strings, got number"},
		{"pause", `{"reason":"x","all":"yes"}`, 400, "all", "expected true or false, got string"},
		{"pause", `{"reason":"x","all":null}`, 400, "all", "expected true or false, got null"},
		{"pause", `{"reason":"x","all":true,"all":true}`, 400, "all", "given twice"},
		{"pause", `{"Reason":"x","rollouts":["ntp"]}`, 400, "Reason", "no field of it; expected of reason, rollouts, all, select"},
		{"pause", `{"reason":"x","rollouts":["ntp"],"for":"2h"}`, 400, "for", "no field of it"},
		{"pause", `{"reason":"x"}`, 400, "rollouts", "expected the names of rollouts, all, or select"},
		{"skip", `{"reason":"x","rollout":"ntp","stage":"one","wait":"soon"}`, 400, "wait", "expected 0 or more"},
		{"skip", `{"reason":"x","rollout":"ntp","stage":"one","wait":"1h"}`, 400, "wait", "at most 30s"},
		{"start", `{"reason":"x","name":"a","parameters":{"a-b":1},"schedule":"s"}`, 400, "parameters.a-b", "letters, digits and _"},
		{"start", `{"reason":"x","name":"a","parameters":["a"],"schedule":"s"}`, 400, "parameters", "expected an object, got array"},
		{"pause", `{"reason":"x","rollouts":["` + strings.Repeat("x", 64<<10) + `"]}`, 413, "", "at most 65536 bytes"},
		{"stop", `{}`, 404, "", "no verb \"stop\"; expected one of start, pause"},
		{"hold%20add", `{}`, 404, "", "expected one of start, pause"},
	} {
		status, body := l.ask("POST", "verbs/"+c.verb, c.body)
		var got struct{ Error, Field string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != c.status || got.Field != c.field || !strings.Contains(got.Error, c.want) {
			t.Errorf("%s %.80s: %d %s", c.verb, c.body, status, body)
		}
	}
	if l.all() != before {
		t.Error("something was written")
	}
}

// TestAgain: the same request twice is no harm: a flag stays as it is, and one for the leader says who asked already.
func TestAgain(t *testing.T) {
	l := newLab(t).enabled()
	var before string
	for i := range 2 {
		if status, body := l.ask("POST", "verbs/pause", pauseNTP); status != 200 || i > 0 && l.all() != before {
			t.Errorf("%d %s", status, body)
		}
		before = l.all()
	}
	const promote = `{"reason":"x","rollout":"ntp","now":true}`
	if status, body := l.ask("POST", "verbs/promote", promote); status != 202 || !strings.Contains(body, `"request":"promote-ntp"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := l.ask("GET", "requests/promote-ntp", ""); status != 200 || !strings.Contains(body, `"by":"loopback (unverified)"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := l.ask("POST", "verbs/promote", promote); status != 409 || !strings.Contains(body, "asked for it already") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := l.ask("POST", "verbs/skip", `{"reason":"x","rollout":"ntp","stage":"two"}`); status != 409 || !strings.Contains(body, `"phase":"running"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := l.ask("GET", "requests/skip-ntp", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
}

// TestNoLeader: who waits for a leader that does not come is told so, and that it stays queued.
func TestNoLeader(t *testing.T) {
	l := newLab(t).enabled()
	status, body := l.ask("POST", "verbs/promote", `{"reason":"x","rollout":"ntp","now":true,"wait":"10ms"}`)
	if status != 202 || !strings.Contains(body, "no leader took it up within 10ms") || !strings.Contains(body, `"request":"promote-ntp"`) {
		t.Errorf("%d %s", status, body)
	}
}

// sick is a store that fails as it is told to.
type sick struct {
	store.Store
	list, txn error
}

func (s sick) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	if s.list != nil && prefix == "rollouts/" {
		return nil, 0, s.list
	}
	return s.Store.List(ctx, prefix)
}

func (s sick) Txn(ctx context.Context, ops ...store.Op) error {
	if s.txn != nil {
		return s.txn
	}
	return s.Store.Txn(ctx, ops...)
}

// TestSickStore: it is never 200 unless it is stored; what stops does not need the rest of the store.
func TestSickStore(t *testing.T) {
	const resumeNTP = `{"reason":"drill","rollouts":["ntp"]}`
	for _, c := range []struct {
		name      string
		list, txn error
		verb      string
		status    int
		want      string
	}{
		{"down", store.ErrUnavailable, store.ErrUnavailable, "resume", 503, "rollouts/"},
		{"a lost answer", nil, store.ErrUnavailable, "pause", 503, "may not have been written, say it again"},
		{"no rights", nil, store.ErrForbidden, "pause", 503, "needs the policy api"},
		{"somebody was faster", nil, &store.ConflictError{Key: "flags/ntp/pause"}, "pause", 409, "look and ask again"},
		{"any other error", nil, errors.New("disk full"), "pause", 503, "disk full"},
		{"half readable, a stop", store.ErrUnavailable, nil, "pause", 200, "so the name is not checked"},
		{"half readable, a release", store.ErrUnavailable, nil, "resume", 503, "rollouts/"},
	} {
		l := newLab(t)
		l.serve(func() store.Store { return sick{l.kv, c.list, c.txn} })
		before := l.all()
		status, body := l.ask("POST", "verbs/"+c.verb, resumeNTP)
		if status != c.status || !strings.Contains(body, c.want) || (l.all() != before) != (status == 200) {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
}

// TestShows: what the store holds, and 404 for what it does not.
func TestShows(t *testing.T) {
	l := newLab(t).serve(nil)
	for path, want := range map[string]string{"rollouts": `"candidate":"production_b"`, "rollouts/ntp": `"phase":"running"`, "edges": "null", "document": `"epoch":"e"`, "requests": "{}"} {
		if status, body := l.ask("GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := l.ask("GET", "rollouts/dns", ""); status != 404 || !strings.Contains(body, `no rollout \"dns\"`) {
		t.Errorf("%d %s", status, body)
	}
}
