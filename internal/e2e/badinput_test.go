package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func init() {
	extended = append(extended, scenario{"bad input is named, and a running daemon keeps what it has", (*lab).badInput})
}

var serving = regexp.MustCompile(`sluiced is serving address=(\S+)`)

// address is where the daemon listens, from its log.
func (l *lab) address() string {
	l.Helper()
	address := ""
	l.eventually("sluiced serves", func() string {
		log, err := os.ReadFile(l.daemon.log)
		if err != nil {
			return err.Error()
		}
		m := serving.FindStringSubmatch(string(log))
		if m == nil {
			return string(log)
		}
		address = m[1]
		return ""
	})
	return address
}

func (l *lab) get(path string) (int, string) {
	l.Helper()
	resp, err := http.Get("http://" + l.address() + path)
	l.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, string(body)
}

func (l *lab) reload() (int, string) {
	l.Helper()
	resp, err := http.Post("http://"+l.address()+"/-/reload", "", nil)
	l.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, string(body)
}

func (l *lab) badInput() {
	good, err := os.ReadFile(l.config)
	l.must(err)
	write := func(old, new string) {
		l.Helper()
		text := strings.Replace(string(good), old, new, 1)
		if text == string(good) {
			l.Fatalf("%q is not in the configuration", old)
		}
		l.must(os.WriteFile(l.config, []byte(text), 0o644))
	}

	// A reload of a bad file says what is wrong, where, and changes nothing.
	write("segment: fra1", "segment: fra2")
	if code, body := l.reload(); code == http.StatusOK || !strings.Contains(body, "fra2") || !strings.Contains(body, filepath.Base(l.config)) {
		l.Errorf("reload of a bad file: %d %s", code, body)
	}
	if _, metrics := l.get("/metrics"); !strings.Contains(metrics, "sluice_config_last_reload_successful 0") {
		l.Error("the metric does not tell that the reload failed")
	}
	if out, code := l.trySluice(l.token, "check", "config", l.config); code != 1 || !strings.Contains(out, "fra2") {
		l.Errorf("check config: exit code %d\n%s", code, out)
	}
	l.deploy("production_b1", "", "sha-b1")
	l.begin("badinput", "production_b1")
	l.stage("badinput", "canary") // with the configuration from before
	l.run(canary)
	l.run(canary)

	// A wrong CA for PuppetDB: nothing goes on, and the reason is in every place that says why.
	write("ca: \""+l.stack.PuppetDB.CA, "ca: \""+l.stack.PuppetDB.Cert)
	l.daemon.kill()
	l.startDaemon()
	l.holds("badinput", 1, "sources", "certificate")
	l.Logf("sluice status:\n%s", first(l.trySluice(l.token, "status", "badinput")))
	l.must(os.WriteFile(l.config, good, 0o644))
	if code, body := l.reload(); code != http.StatusOK {
		l.Fatalf("reload of the good file: %d %s", code, body)
	}
	l.stage("badinput", "fra1") // and all goes on by itself

	// A token without rights: named with the key, never with the secret.
	token := filepath.Join(l.dir, "viewer.token")
	l.must(os.WriteFile(token, []byte(l.newToken("viewer", "only looking")), 0o600))
	write(filepath.Join(l.dir, "leader.token"), token)
	l.daemon.kill()
	l.startDaemon()
	l.eventually("sluiced says that its token has no rights", func() string {
		log, _ := os.ReadFile(l.daemon.log)
		if !strings.Contains(string(log), "leader") || !strings.Contains(strings.ToLower(string(log)), "permission") {
			return tail(string(log), 5)
		}
		return ""
	})
	l.daemon.kill()
	if out, code := l.trySluice("00000000-0000-0000-0000-000000000000", "pause", "badinput", "--reason", "x"); code == 0 {
		l.Errorf("a token that does not exist paused a rollout:\n%s", out)
	}
	l.must(os.WriteFile(l.config, good, 0o644))
	l.startDaemon()
	l.sluice("backout", "badinput", "--reason", "enough")
	l.phase("badinput", "backed_out")
	if code, _ := l.get("/-/healthy"); code != http.StatusOK {
		l.Errorf("healthy answers %d", code)
	}
	l.eventually("/metrics tells who leads, and where the rollout is", func() string { // it is in the store before the look ends
		if _, metrics := l.get("/metrics"); !strings.Contains(metrics, "sluice_leader 1") || !strings.Contains(metrics, `sluice_rollout_phase{phase="backed_out",rollout="badinput"`) {
			return "it does not"
		}
		return ""
	})
}

func first[T, U any](t T, _ U) T { return t }
