package stack

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
)

// Puppetserver compiles catalogs: one edge.
type Puppetserver struct {
	Service
	// Certname is the producer of the reports that come through this server.
	Certname string
	// URL is https://localhost with the server's port.
	URL  string
	Port int
	// CAPort is the port of the server that is the CA.
	CAPort int
	// Dir holds conf, code, var, run and log. EnvironmentPath is this server's own: code may differ between servers.
	Dir, EnvironmentPath string

	index int
	stack *Stack
}

func newPuppetserver(s *Stack, index, port int) *Puppetserver {
	name := fmt.Sprintf("puppetserver%d", index+1)
	dir := filepath.Join(s.Dir, name)
	p := &Puppetserver{
		Certname: name + ".test", URL: fmt.Sprintf("https://localhost:%d", port), Port: port, CAPort: port,
		Dir: dir, EnvironmentPath: filepath.Join(dir, "code", "environments"), index: index, stack: s,
	}
	if index > 0 {
		p.CAPort = s.Puppetservers[0].Port
	}
	p.Service = Service{
		name:     name,
		logs:     []string{filepath.Join(dir, "log", "stdout.log"), filepath.Join(dir, "log", "puppetserver.log")},
		stopWith: syscall.SIGTERM,
		command:  p.command,
	}
	return p
}

func (p *Puppetserver) command() (command, error) {
	cp, err := p.stack.classPath("puppetserver", puppetserverJar)
	argv := append(java(p.Dir, "-Xms256m", "-Xmx768m", "-Djruby.lib=/usr/share/jruby/lib",
		"-Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger", "-cp", cp), "puppetlabs.trapperkeeper.main",
		"--config", filepath.Join(p.Dir, "conf.d"), "--bootstrap-config", filepath.Join(p.Dir, "services.d"))
	return command{argv: argv, env: []string{"HOME=" + filepath.Join(p.Dir, "var")}, dir: p.Dir, user: "puppet", log: p.logs[0]}, err
}

// configure writes all that needs no certificate, and the first environment.
func (p *Puppetserver) configure() error {
	for _, dir := range []string{"var", "run", "log", "tmp", "jruby-gems", "conf.d", "services.d", "conf"} {
		if err := os.MkdirAll(filepath.Join(p.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	for file, data := range map[string]any{
		"conf/puppet.conf": p, "conf/puppetdb.conf": p.stack.PuppetDB.TLSPort, "conf/routes.yaml": nil,
		"conf.d/puppetserver.conf": p, "logback.xml": p.logs[1],
	} {
		if err := render(filepath.Join(p.Dir, file), filepath.Base(file), data); err != nil {
			return err
		}
	}
	for _, name := range []string{"auth.conf", "ca.conf", "web-routes.conf", "metrics.conf"} {
		if err := copyInto("/etc/puppet/puppetserver/conf.d/"+name, filepath.Join(p.Dir, "conf.d", name)); err != nil {
			return err
		}
	}
	if err := p.configureServices(); err != nil {
		return err
	}
	return p.DeployEnvironment("production", map[string]string{"manifests/site.pp": "node default { }\n"}, "initial")
}

// configureServices takes Debian's list of services, without the CA on all servers but the first.
func (p *Puppetserver) configureServices() error {
	found, err := filepath.Glob("/etc/puppet/puppetserver/services.d/*.cfg")
	if err != nil {
		return err
	}
	for _, from := range found {
		to := filepath.Join(p.Dir, "services.d", filepath.Base(from))
		if p.index > 0 && filepath.Base(from) == "ca.cfg" {
			err = render(to, "ca-disabled.cfg", nil)
		} else {
			err = copyInto(from, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// install puts the certificates in place, asks for the ENC, and hands everything over to user puppet.
func (p *Puppetserver) install() error {
	if p.index > 0 {
		if err := p.installCertificates(); err != nil {
			return err
		}
	}
	enc := ""
	if p.stack.opts.ExternalNodes != nil {
		var err error
		if enc, err = p.stack.opts.ExternalNodes(p.stack, p); err != nil {
			return fmt.Errorf("external_nodes of %s: %w", p.name, err)
		}
	}
	if err := p.SetExternalNodes(enc); err != nil {
		return err
	}
	client, err := tlsClient(filepath.Join(p.stack.caSSL(), "certs", "ca.pem"))
	if err != nil {
		return err
	}
	p.probe = expect(client, p.URL+"/status/v1/simple", "running")
	return giveTo("puppet", p.Dir)
}

func (p *Puppetserver) installCertificates() error {
	ssl := filepath.Join(p.Dir, "conf", "ssl")
	cert, key := p.stack.issued(p.Certname)
	for to, from := range map[string]string{
		filepath.Join(ssl, "certs", "ca.pem"):                 filepath.Join(p.stack.caSSL(), "certs", "ca.pem"),
		filepath.Join(ssl, "crl.pem"):                         filepath.Join(p.stack.caSSL(), "crl.pem"),
		filepath.Join(ssl, "certs", p.Certname+".pem"):        cert,
		filepath.Join(ssl, "private_keys", p.Certname+".pem"): key,
	} {
		if err := copyInto(from, to); err != nil {
			return err
		}
	}
	return nil
}

// copyInto copies a file and its mode, making the directory.
func copyInto(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyFile(from, to, info.Mode().Perm())
}

// tlsClient trusts the stack's CA and nobody else.
func tlsClient(ca string) (*http.Client, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", ca)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}, nil
}
