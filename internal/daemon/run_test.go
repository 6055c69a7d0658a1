package daemon

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// daemonOn makes a whole daemon on the lab's store, with its own clock and listener.
func (l *lab) daemonOn(change ...func(*Options)) *Daemon {
	l.Helper()
	o := Options{ConfigFile: l.configFile("state"), Log: zerolog.Nop()}
	for _, c := range change {
		c(&o)
	}
	d, err := New(o)
	l.must(err)
	if c, ok := d.store.(interface{ Close() }); ok {
		c.Close()
	}
	d.store = l.kv
	return d
}

// run runs a daemon until the function that it returns is called, which says how it ended.
func (l *lab) run(d *Daemon) (end func() error) {
	ctx, cancel := context.WithCancel(l.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	done := false
	end = func() error {
		if done {
			return nil
		}
		done = true
		cancel()
		return <-ended
	}
	l.Cleanup(func() { _ = end() })
	return end
}

// await waits until the store is as it is expected, at most a minute.
func (l *lab) await(what string, is func() bool) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), time.Minute)
	defer cancel()
	for {
		_, index, err := l.kv.List(ctx, "")
		if err == nil && is() {
			return
		}
		if err == nil {
			_, err = l.kv.Watch(ctx, "", index)
		}
		if err != nil {
			l.Fatalf("%s: %v", what, err)
		}
	}
}

// holder is who the store says leads.
func (l *lab) holder() string {
	l.Helper()
	value := l.get(tree.LeaderKey)
	if value == "" {
		return ""
	}
	h, err := store.ParseHolder([]byte(value))
	l.must(err)
	return h.Who
}

// TestRunReleasesTheLease: a daemon that is told to end gives up the lead and leaves nothing running, and the one that
// waited takes over at once.
func TestRunReleasesTheLease(t *testing.T) {
	l := newLab(t, 2)
	before := goleak.IgnoreCurrent()
	first := l.run(l.daemonOn())
	l.await("somebody leads", func() bool { return l.holder() != "" })
	second := l.run(l.daemonOn())
	if err := first(); err != nil {
		t.Fatal(err)
	}
	l.await("the other one leads", func() bool { return l.holder() != "" }) // the first one's name is gone
	if err := second(); err != nil {
		t.Fatal(err)
	}
	if who := l.holder(); who != "" {
		t.Errorf("%s still leads", who)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// TestNewLeavesNothing: a daemon that cannot be made leaves nothing running.
func TestNewLeavesNothing(t *testing.T) {
	l := newLab(t, 1)
	l.extra = "webhooks: [{url: \"http://127.0.0.1:1/\"}]\n"
	before := goleak.IgnoreCurrent()
	for name, o := range map[string]Options{
		"no configuration":  {ConfigFile: l.path("none.yml")},
		"no such address":   {ConfigFile: l.configFile("state"), ListenAddress: []string{"192.0.2.1:1"}},
		"bad web config":    {ConfigFile: l.configFile("state"), WebConfigFile: l.path("none.yml")},
		"a token not there": {ConfigFile: l.tokenless("token_file")},
		"the API's token":   {ConfigFile: l.tokenless("api_token_file"), AdminAPI: true},
	} {
		o.Log = zerolog.Nop()
		if d, err := New(o); err == nil || d != nil {
			t.Errorf("%s: %v, %v", name, d, err)
		}
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (l *lab) tokenless(key string) string {
	data := strings.Replace(l.read(l.configFile("state")), "tracks:", "store: {consul: {"+key+": none}}\ntracks:", 1)
	l.write(key+".yml", data)
	return l.path(key + ".yml")
}

// TestReload: a configuration that is not in order keeps the old one in force, and a metric says so; one that is takes
// effect, without another leader.
func TestReload(t *testing.T) {
	l := newLab(t, 2)
	d := l.daemonOn()
	l.run(d)
	base := "http://" + d.Addr()
	l.await("somebody leads", func() bool { return l.holder() != "" })
	held := l.get(tree.LeaderKey)
	ask := func(id, schedule string) tree.Request {
		l.now = time.Now()
		l.request(id, tree.Request{Kind: tree.RequestStart, Rollout: id, Start: &tree.Start{Track: "production", Environment: "production_2", Schedule: schedule, Policy: "default"}})
		var r tree.Request
		l.await(id+" is dealt with", func() bool {
			r = tree.Request{}
			value := l.get(tree.RequestKey(id))
			return value == "" || json.Unmarshal([]byte(value), &r) == nil && r.Refused != ""
		})
		return r
	}
	if r := ask("one", "quick"); !strings.Contains(r.Refused, `schedule "quick" is not in the configuration`) {
		t.Fatalf("%+v", r)
	}
	whole := l.read(l.path("sluiced.yml"))
	l.write("sluiced.yml", strings.Replace(whole, "tracks:", "trakcs:", 1))
	if code, body := l.post(base + "/-/reload"); code != http.StatusInternalServerError || !strings.Contains(body, "trakcs") {
		t.Errorf("%d %s", code, body)
	}
	if m := l.metric(base, "sluice_config_last_reload_successful"); m != "0" {
		t.Errorf("after a bad reload the metric is %s", m)
	}
	if r := ask("two", "train"); r.Refused != "" {
		t.Errorf("the old configuration is not in force: %s", r.Refused)
	}
	l.write("sluiced.yml", strings.Replace(whole, "\n  train:", "\n  quick:", 1))
	if code, body := l.post(base + "/-/reload"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	if m := l.metric(base, "sluice_config_last_reload_successful"); m != "1" {
		t.Errorf("after a good reload the metric is %s", m)
	}
	l.set("flags/two/backout", "true")
	l.await("two is taken back", func() bool { return l.state("two").Phase.Ended() })
	l.request("unveto", requestUnveto("two"))
	l.await("unvetoed", func() bool { return l.state("two").Unvetoed })
	if r := ask("three", "quick"); r.Refused != "" {
		t.Errorf("the new configuration is not in force: %s", r.Refused)
	}
	if now := l.get(tree.LeaderKey); now != held {
		t.Errorf("the lead changed hands: %s, was %s", now, held)
	}
}

func (l *lab) read(path string) string {
	l.Helper()
	data, err := os.ReadFile(path)
	l.must(err)
	return string(data)
}

func (l *lab) post(url string) (int, string) {
	l.Helper()
	resp, err := http.Post(url, "text/plain", nil)
	l.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, string(body)
}

// metric is the value of a metric without labels.
func (l *lab) metric(base, name string) string {
	l.Helper()
	resp, err := http.Get(base + "/metrics")
	l.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	l.must(err)
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// TestReloadWaitsForTheLeader: the notifiers of the old configuration are not closed while a leader may be telling them
// something: what it noted as told would be lost.
func TestReloadWaitsForTheLeader(t *testing.T) {
	file := newLab(t, 1).configFile("state")
	synctest.Test(t, func(t *testing.T) {
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		d := &Daemon{options: Options{ConfigFile: file}, log: zerolog.Nop(), registry: prometheus.NewRegistry(), reloaded: make(chan struct{})}
		if d.site, err = newSite(cfg, d.registry, d.log); err != nil {
			t.Fatal(err)
		}
		old, done := d.site, false
		old.users.Add(1)
		go func() {
			if err := d.reload(); err != nil {
				t.Error(err)
			}
			done = true
		}()
		synctest.Wait()
		if done || d.current() == old {
			t.Errorf("done: %v, the new configuration is in force: %v", done, d.current() != old)
		}
		old.users.Done()
		synctest.Wait()
		if !done {
			t.Error("it still waits")
		}
		d.close()
	})
}
