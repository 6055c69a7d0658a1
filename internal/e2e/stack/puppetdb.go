package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// PuppetDB stores reports, facts and catalogs.
type PuppetDB struct {
	Service
	// URL is the plain one; anybody on this machine may use it. TLSURL wants a certificate that the allowlist names.
	URL, TLSURL string
	// CA, Cert and Key are PEM files for a client of TLSURL, certname ClientCertname.
	CA, Cert, Key string

	Port, TLSPort, PostgresPort int
	Dir                         string

	stack *Stack
}

func newPuppetDB(s *Stack, dir string, port, tlsPort int) *PuppetDB {
	p := &PuppetDB{
		URL: fmt.Sprintf("http://127.0.0.1:%d", port), TLSURL: fmt.Sprintf("https://localhost:%d", tlsPort),
		CA: filepath.Join(dir, "ssl", "ca.pem"), Cert: filepath.Join(dir, "client", "cert.pem"), Key: filepath.Join(dir, "client", "key.pem"),
		Port: port, TLSPort: tlsPort, PostgresPort: s.Postgres.Port, Dir: dir, stack: s,
	}
	p.Service = Service{
		name:     "puppetdb",
		logs:     []string{filepath.Join(dir, "log", "stdout.log"), filepath.Join(dir, "log", "puppetdb.log")},
		probe:    expect(plainClient, p.URL+"/status/v1/simple", "running"),
		stopWith: syscall.SIGTERM,
		command:  p.command,
	}
	return p
}

func (p *PuppetDB) command() (command, error) {
	cp, err := p.stack.classPath("puppetdb", puppetdbJar)
	argv := append(java(p.Dir, "-Xms128m", "-Xmx384m", "-cp", cp), "clojure.main", "-m", "puppetlabs.puppetdb.core", "services",
		"--config", filepath.Join(p.Dir, "conf.d"), "--bootstrap-config", "/etc/puppetdb/bootstrap.cfg")
	return command{argv: argv, dir: p.Dir, user: "puppetdb", log: p.logs[0]}, err
}

// java begins a JVM's command line. The optimising compiler is left out: a stack lives for minutes, and booting it costs
// half the CPU this way. Debian's units lack the "file:", which makes the JVM gather entropy for 8 s of CPU. Temporary
// files stay below dir, so that they go away with it.
func java(dir string, args ...string) []string {
	return append([]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.security.egd=file:/dev/urandom",
		"-Djava.io.tmpdir=" + filepath.Join(dir, "tmp"), "-Dclojure.main.report=stderr"}, args...)
}

func (p *PuppetDB) configure() error {
	conf := filepath.Join(p.Dir, "conf.d")
	for _, dir := range []string{"var", "log", "tmp"} {
		if err := os.MkdirAll(filepath.Join(p.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := render(filepath.Join(conf, "puppetdb.ini"), "puppetdb.ini", p); err != nil {
		return err
	}
	if err := render(filepath.Join(p.Dir, "logback.xml"), "logback.xml", p.logs[1]); err != nil {
		return err
	}
	allowed := []string{ClientCertname}
	for _, server := range p.stack.Puppetservers {
		allowed = append(allowed, server.Certname)
	}
	if err := writeFile(filepath.Join(p.Dir, "allowlist"), strings.Join(allowed, "\n")+"\n", 0o644); err != nil {
		return err
	}
	cert, key := p.stack.issued(puppetdbCertname)
	clientCert, clientKey := p.stack.issued(ClientCertname)
	for to, from := range map[string]string{
		filepath.Join(conf, "auth.conf"):        "/etc/puppetdb/conf.d/auth.conf",
		p.CA:                                    filepath.Join(p.stack.caSSL(), "certs", "ca.pem"),
		filepath.Join(p.Dir, "ssl", "cert.pem"): cert,
		filepath.Join(p.Dir, "ssl", "key.pem"):  key,
		p.Cert:                                  clientCert,
		p.Key:                                   clientKey,
	} {
		if err := copyInto(from, to); err != nil {
			return err
		}
	}
	return giveTo("puppetdb", p.Dir)
}

// WaitQueue returns when PuppetDB has stored every command that it has accepted.
func (p *PuppetDB) WaitQueue(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		depth, err := p.QueueDepth(ctx)
		if err != nil {
			return err
		}
		if depth == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("puppetdb's queue still holds %d commands: %w", depth, ctx.Err())
		case <-tick.C:
		}
	}
}

// QueueDepth is how many accepted commands PuppetDB has not stored yet.
func (p *PuppetDB) QueueDepth(ctx context.Context) (int, error) {
	url := p.URL + "/status/v1/services/puppetdb-status"
	body, err := get(ctx, plainClient, url)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status struct {
			Depth *int `json:"queue_depth"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("%s: %w", url, err)
	}
	if answer.Status.Depth == nil {
		return 0, fmt.Errorf("%s: no queue_depth in %s", url, body)
	}
	return *answer.Status.Depth, nil
}
