package stack

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Certnames of the components. Agents bring their own.
const (
	puppetdbCertname = "puppetdb.test"
	// ClientCertname is the client certificate that PuppetDB's allowlist names beside the puppetservers'.
	ClientCertname = "sluice"
)

// makeCertificates sets up the first puppetserver as CA and signs everybody's certificate, offline.
func (s *Stack) makeCertificates(ctx context.Context) error {
	first := s.Puppetservers[0]
	conf := filepath.Join(first.Dir, "conf", "puppet.conf")
	names := []string{puppetdbCertname, ClientCertname}
	for _, p := range s.Puppetservers[1:] {
		names = append(names, p.Certname)
	}
	err := puppetserverCA(ctx, "setup", "--config", conf, "--certname", first.Certname,
		"--subject-alt-names", "localhost", "--ca-name", "sluice e2e CA")
	if err != nil {
		return err
	}
	return puppetserverCA(ctx, "generate", "--config", conf, "--certname", strings.Join(names, ","),
		"--subject-alt-names", "localhost", "--ca-client")
}

func puppetserverCA(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "puppetserver", append([]string{"ca"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("puppetserver ca %s: %w: %s", args[0], err, out)
	}
	return nil
}

// issued names the files of a certificate that the CA has made: its directory layout is Puppet's ssldir.
func (s *Stack) issued(certname string) (cert, key string) {
	ssl := s.caSSL()
	return filepath.Join(ssl, "certs", certname+".pem"), filepath.Join(ssl, "private_keys", certname+".pem")
}

func (s *Stack) caSSL() string { return filepath.Join(s.Puppetservers[0].Dir, "conf", "ssl") }
