package daemon

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
)

// verb asks the API of a daemon and returns the status and the answer.
func (l *lab) verb(d *Daemon, name, body string) (int, string) {
	l.Helper()
	resp, err := http.Post("http://"+d.Addr()+"/api/v1/verbs/"+name, "application/json", strings.NewReader(body))
	l.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, string(data)
}

// TestVerbsByTheAPI: what people ask of a whole sluiced is done by its leader and is in the audit with who asked; without
// the switch nothing is done.
func TestVerbsByTheAPI(t *testing.T) {
	l := newLab(t, 2)
	off := l.daemonOn()
	l.run(off)
	l.await("somebody leads", func() bool { return l.holder() != "" })
	const start = `{"reason":"ntp pools","environment":"production_2","schedule":"three","wait":"20s"}`
	if status, body := l.verb(off, "start", start); status != http.StatusForbidden || !strings.Contains(body, "--web.enable-admin-api") {
		t.Errorf("%d %s", status, body)
	}

	// The one that is asked need not be the one that leads.
	on := l.daemonOn(func(o *Options) { o.AdminAPI = true })
	l.run(on)
	status, body := l.verb(on, "start", start)
	if status != http.StatusOK || !strings.Contains(body, `"taken":true`) || !l.audited("queued", "loopback (unverified)", "ntp pools") {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := l.verb(on, "start", strings.Replace(start, "{", `{"name":"again",`, 1)); status != http.StatusConflict || !strings.Contains(body, "the leader refused: rollout production_2 is under way") {
		t.Errorf("%d %s", status, body)
	}
	const drill = `{"reason":"drill","rollouts":["production_2"]}`
	if status, body := l.verb(on, "pause", drill); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	l.await("the pause is in the audit", func() bool {
		return l.audited("flag", "consul-kv (unverified)", `flags/production_2/pause = "true by=loopback (unverified): drill"`)
	})
	if status, body := l.verb(on, "backout", drill); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	l.await("it is taken back", func() bool { return l.state("production_2").Phase == gate.BackedOut })
	if last := l.chain(); last[len(last)-1].Kind != "backed_out" {
		t.Errorf("%+v", last[len(last)-1])
	}
	if status, body := l.verb(on, "pause", drill); status != http.StatusConflict || !strings.Contains(body, `"phase":"backed_out"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := l.verb(on, "unveto", `{"reason":"it was the disk","name":"production_2","wait":"20s"}`); status != http.StatusOK || !l.audited("unvetoed", "loopback (unverified)", "it was the disk") {
		t.Errorf("%d %s", status, body)
	}
}

// audited says whether there is such an entry in the audit.
func (l *lab) audited(kind, by, text string) bool {
	for _, e := range l.chain() {
		if e.Kind == kind && e.By == by && strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}
