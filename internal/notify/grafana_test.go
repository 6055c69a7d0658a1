package notify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-openapi-client-go/models"
	"github.com/openinfrastructure/sluice/internal/notify/grafanatest"
	"github.com/prometheus/client_golang/prometheus"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func grafana(t *testing.T, s *grafanatest.Server) *Grafana {
	t.Helper()
	g, err := NewGrafana(GrafanaOptions{URL: s.URL, TokenFile: tokenFile(t, grafanatest.Token)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.CloseIdleConnections)
	return g
}

func stageEvent(kind, verdict string, after time.Duration) Event {
	return Event{ID: "ntp/1/" + kind, Rollout: "ntp", Track: "production", Stage: "canary", StageIndex: 1,
		Kind: kind, Verdict: verdict, Text: "canary " + kind, At: noon.Add(after)}
}

func tell(t *testing.T, n Notifier, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := n.Notify(t.Context(), e); err != nil {
			t.Fatalf("%s: %v", e.ID, err)
		}
	}
}

// stored is what a Grafana holds, without what it adds by itself.
func stored(s *grafanatest.Server) []models.Annotation {
	all := s.Annotations()
	for i := range all {
		all[i].Created, all[i].ID = 0, 0
	}
	return all
}

var startTags = []string{"sluice", "rollout:ntp", "stage:canary", "kind:stage", "id:ntp/1/stage_started", "track:production"}

// A stage is one region from its start to its end; what lies between is points.
func TestGrafanaDrawsAStage(t *testing.T) {
	s := grafanatest.New(t)
	g := grafana(t, s)
	tell(t, g, stageEvent(KindStageStarted, "", 0))
	open := []models.Annotation{{Time: noon.UnixMilli(), TimeEnd: noon.UnixMilli(), Text: "canary stage_started", Tags: startTags}}
	if diff := cmp.Diff(open, stored(s)); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
	tell(t, g, stageEvent(KindHeld, "inconclusive", time.Minute), stageEvent(KindStageEnded, "pass", time.Hour))
	want := []models.Annotation{
		{Time: noon.UnixMilli(), TimeEnd: noon.Add(time.Hour).UnixMilli(), Text: "canary stage_started\npass: canary stage_ended",
			Tags: []string{"sluice", "rollout:ntp", "stage:canary", "kind:stage", "id:ntp/1/stage_started", "track:production",
				"end:ntp/1/stage_ended", "verdict:pass"}},
		{Time: noon.Add(time.Minute).UnixMilli(), TimeEnd: noon.Add(time.Minute).UnixMilli(), Text: "inconclusive: canary held",
			Tags: []string{"sluice", "rollout:ntp", "stage:canary", "kind:held", "id:ntp/1/held", "track:production", "verdict:inconclusive"}},
	}
	if diff := cmp.Diff(want, stored(s)); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

// Every event told again, by this process or by the one after it, and every
// answer lost once: the picture is the same.
func TestGrafanaNeverDrawsTwice(t *testing.T) {
	events := []Event{
		{ID: "ntp/start", Rollout: "ntp", Kind: KindRolloutStarted, At: noon},
		stageEvent(KindStageStarted, "", 0), stageEvent(KindPaused, "", time.Minute),
		stageEvent(KindResumed, "", 2*time.Minute), stageEvent(KindStageEnded, "pass", time.Hour),
		{ID: "ntp/done", Rollout: "ntp", Kind: KindCompleted, At: noon.Add(2 * time.Hour)},
	}
	once := grafanatest.New(t)
	tell(t, grafana(t, once), events...)
	if n := len(once.Annotations()); n != 5 {
		t.Fatalf("got %d annotations, want 5", n)
	}

	again := grafanatest.New(t)
	for _, e := range events {
		again.LoseAnswers(1)
		if err := grafana(t, again).Notify(t.Context(), e); err == nil {
			t.Fatalf("%s: got no error for a lost answer", e.ID)
		}
		tell(t, grafana(t, again), e, e) // after a restart
	}
	tell(t, grafana(t, again), events...) // the whole history, replayed
	if diff := cmp.Diff(stored(once), stored(again)); diff != "" {
		t.Errorf("replayed (-once +again):\n%s", diff)
	}
}

func TestGrafanaBackOut(t *testing.T) {
	backOut := stageEvent(KindBackedOut, "fail", 30*time.Minute)
	whole := backOut
	whole.Stage = ""
	tests := []struct {
		name   string
		events []Event
		ends   []time.Duration // per annotation, after noon
	}{
		{"ends the running stage", []Event{stageEvent(KindStageStarted, "", 0), backOut}, []time.Duration{30 * time.Minute}},
		{"of the whole rollout ends it too", []Event{stageEvent(KindStageStarted, "", 0), whole}, []time.Duration{30 * time.Minute}},
		{"after the stage's end is a point", []Event{stageEvent(KindStageStarted, "", 0), stageEvent(KindStageEnded, "pass", time.Minute), backOut},
			[]time.Duration{time.Minute, 30 * time.Minute}},
		{"of a stage that was never told is a point", []Event{backOut, backOut}, []time.Duration{30 * time.Minute}},
		{"before the start, by a clock that went back, ends after it", []Event{stageEvent(KindStageStarted, "", time.Hour), backOut},
			[]time.Duration{time.Hour + time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := grafanatest.New(t)
			tell(t, grafana(t, s), tt.events...)
			var ends []time.Duration
			for _, a := range s.Annotations() {
				ends = append(ends, time.UnixMilli(a.TimeEnd).Sub(noon))
			}
			if diff := cmp.Diff(tt.ends, ends); diff != "" {
				t.Errorf("ends (-want +got):\n%s", diff)
			}
		})
	}
}

// Regions of other rollouts and stages are left alone, also where one name is
// the start of another or differs only in case.
func TestGrafanaEndsOnlyItsOwn(t *testing.T) {
	s := grafanatest.New(t)
	g := grafana(t, s)
	for _, name := range []string{"ntp", "ntp2", "NTP"} {
		for _, stage := range []string{"canary", "canary2", "Canary"} {
			e := stageEvent(KindStageStarted, "", 0)
			e.Rollout, e.Stage, e.ID = name, stage, name+"/"+stage
			tell(t, g, e)
		}
	}
	tell(t, g, stageEvent(KindStageEnded, "pass", time.Hour))
	var ended []string
	for _, a := range s.Annotations() {
		if a.TimeEnd > a.Time {
			ended = append(ended, a.Tags[4])
		}
	}
	if diff := cmp.Diff([]string{"id:ntp/canary"}, ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

func TestGrafanaDashboard(t *testing.T) {
	s := grafanatest.New(t)
	g, err := NewGrafana(GrafanaOptions{URL: s.URL, TokenFile: tokenFile(t, grafanatest.Token), DashboardUID: "jcIIG-07z"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.CloseIdleConnections)
	tell(t, g, stageEvent(KindStageStarted, "", 0), stageEvent(KindStageEnded, "pass", time.Hour))
	if all := s.Annotations(); len(all) != 1 || all[0].DashboardUID != "jcIIG-07z" {
		t.Errorf("got %+v", all)
	}
}

// Each way to fail is an error that names the server, shows no secret, and
// knows whether to try again; nothing is drawn.
func TestGrafanaFails(t *testing.T) {
	tests := []struct {
		name      string
		set       func(*grafanatest.Server)
		token     string
		want      string
		permanent bool
	}{
		{"down", func(s *grafanatest.Server) { s.SetDown(true) }, grafanatest.Token, "EOF", false},
		{"500", func(s *grafanatest.Server) { s.SetStatus(500) }, grafanatest.Token, "status 500: Internal Server Error", false},
		{"502 of a proxy", func(s *grafanatest.Server) { s.SetStatus(502) }, grafanatest.Token, "status 502", false},
		{"429", func(s *grafanatest.Server) { s.SetStatus(429) }, grafanatest.Token, "status 429", false},
		{"403", func(s *grafanatest.Server) { s.SetStatus(403) }, grafanatest.Token, "status 403", false},
		{"404", func(s *grafanatest.Server) { s.SetStatus(404) }, grafanatest.Token, "status 404", true},
		{"wrong token", func(*grafanatest.Server) {}, "glsa_secret", "status 401: Invalid API key", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := grafanatest.New(t)
			tt.set(s)
			g, err := NewGrafana(GrafanaOptions{URL: strings.Replace(s.URL, "http://", "http://user:glsa_secret@", 1), TokenFile: tokenFile(t, tt.token)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.CloseIdleConnections)
			for _, kind := range []string{KindStageStarted, KindStageEnded, KindHeld} {
				err := g.Notify(t.Context(), stageEvent(kind, "", 0))
				if err == nil || !strings.Contains(err.Error(), tt.want) || isPermanent(err) != tt.permanent {
					t.Errorf("%s: got %v (permanent: %t), want %q (%t)", kind, err, isPermanent(err), tt.want, tt.permanent)
					continue
				}
				if !strings.HasPrefix(err.Error(), "grafana http://127.0.0.1:") || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s: %v", kind, err)
				}
			}
			if n := len(s.Annotations()); n != 0 {
				t.Errorf("%d annotations were drawn", n)
			}
		})
	}
}

// An answer that is not Grafana's list never counts as "not drawn yet".
func TestGrafanaDoubtsAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"null": "null", "an object": "{}", "a login page": "<html>", "nothing": "", "half": `[{"id":1`,
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("got %s %s", r.Method, r.URL.Path)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(body))
			}))
			t.Cleanup(srv.Close)
			g, err := NewGrafana(GrafanaOptions{URL: srv.URL, TokenFile: tokenFile(t, "x")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.CloseIdleConnections)
			for _, kind := range []string{KindStageStarted, KindStageEnded, KindHeld} {
				if err := g.Notify(t.Context(), stageEvent(kind, "", 0)); err == nil || isPermanent(err) {
					t.Errorf("%s: got %v, want an error to be tried again", kind, err)
				}
			}
		})
	}
}

func TestGrafanaHonoursItsContext(t *testing.T) {
	s := grafanatest.New(t)
	s.SetSlow()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := grafana(t, s).Notify(ctx, stageEvent(KindStageStarted, "", 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

// A redirect would turn the POST into a GET that answers 200.
func TestGrafanaIsNotRedirected(t *testing.T) {
	s := grafanatest.New(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(srv.Close)
	g, err := NewGrafana(GrafanaOptions{URL: srv.URL, TokenFile: tokenFile(t, grafanatest.Token)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.CloseIdleConnections)
	if err := g.Notify(t.Context(), stageEvent(KindHeld, "", 0)); err == nil || !strings.Contains(err.Error(), "redirected to") {
		t.Errorf("got %v", err)
	}
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("the redirect was followed: %v", got)
	}
}

// The token is renewed on disk, and the next attempt uses it.
func TestGrafanaReadsTheTokenAgain(t *testing.T) {
	s := grafanatest.New(t)
	file := tokenFile(t, "old")
	g, err := NewGrafana(GrafanaOptions{URL: s.URL, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.CloseIdleConnections)
	e := stageEvent(KindHeld, "", 0)
	if err := g.Notify(t.Context(), e); err == nil {
		t.Fatal("the old token was taken")
	}
	if err := os.WriteFile(file, []byte(grafanatest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	tell(t, g, e)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Notify(t.Context(), e); err == nil || !strings.Contains(err.Error(), "expected one token") {
		t.Errorf("empty file: got %v", err)
	}
}

func TestNewGrafanaRefuses(t *testing.T) {
	good := tokenFile(t, "x")
	for want, o := range map[string]GrafanaOptions{
		"token file: expected a path": {URL: "http://x"},
		"no such file":                {URL: "http://x", TokenFile: good + ".gone"},
		"expected one token":          {URL: "http://x", TokenFile: tokenFile(t, "a b")},
		"grafana url":                 {URL: "x:3000", TokenFile: good},
	} {
		if g, err := NewGrafana(o); err == nil || g != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// The daemon's own client settings are nobody's to change.
func TestGrafanaLeavesTheDefaultTransportAlone(t *testing.T) {
	_ = http.DefaultTransport.(*http.Transport).Clone() // net/http sets it up for HTTP/2 at its first use, whoever that is
	before := http.DefaultTransport.(*http.Transport).TLSClientConfig
	s := grafanatest.New(t)
	tell(t, grafana(t, s), stageEvent(KindHeld, "", 0))
	if http.DefaultTransport.(*http.Transport).TLSClientConfig != before {
		t.Error("http.DefaultTransport was changed")
	}
}

// Through the queue: an outage in the middle of a rollout costs nothing.
func TestQueueRidesOutAGrafanaOutage(t *testing.T) {
	s := grafanatest.New(t)
	reg := prometheus.NewRegistry()
	q := open(t, Options{Registerer: reg, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond}, grafana(t, s))
	s.SetDown(true)
	q.Push(stageEvent(KindStageStarted, "", 0))
	q.Push(stageEvent(KindHeld, "", time.Minute))
	q.Push(stageEvent(KindStageEnded, "pass", time.Hour))
	for len(s.Requests()) < 3 { // it is being tried
		time.Sleep(time.Millisecond)
	}
	s.LoseAnswers(2)
	s.SetDown(false)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := s.Annotations()
	if len(all) != 2 || all[0].TimeEnd != noon.Add(time.Hour).UnixMilli() {
		t.Errorf("got %+v", all)
	}
}
