package puppetdb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// authority is a Puppet CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate and its key into dir.
func (a *authority) issue(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "EC PRIVATE KEY", raw)
	return cert, key
}

// secure starts a PuppetDB with a certificate of a for puppetdb.example.test
// that wants one of a from its clients.
func (a *authority) secure(t *testing.T) (base string, s *puppetdbtest.Server) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(t, t.TempDir(), "puppetdb.example.test"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s = puppetdbtest.NewHandler()
	h := httptest.NewUnstartedServer(s)
	h.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are the subject
	h.StartTLS()
	t.Cleanup(h.Close)
	return h.URL, s
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t, "our ca"), newAuthority(t, "their ca")
	base, s := ours.secure(t)
	cert, key := ours.issue(t, t.TempDir(), "sluice")
	foreign, foreignKey := theirs.issue(t, t.TempDir(), "sluice")
	good := puppetdb.Config{URL: base, CAFile: ours.file, CertFile: cert, KeyFile: key, ServerName: "puppetdb.example.test", Token: "t0ken"}
	for name, tc := range map[string]struct {
		edit func(*puppetdb.Config)
		want string
	}{
		"good":                         {func(*puppetdb.Config) {}, ""},
		"another ca":                   {func(c *puppetdb.Config) { c.CAFile = theirs.file }, "does not hold the CA of the server's certificate"},
		"no ca":                        {func(c *puppetdb.Config) { c.CAFile = "" }, "does not hold the CA of the server's certificate"},
		"wrong name":                   {func(c *puppetdb.Config) { c.ServerName = "puppet.example.test" }, "set the server name to one that the certificate carries"},
		"no client certificate":        {func(c *puppetdb.Config) { c.CertFile, c.KeyFile = "", "" }, "the server refused client certificate"},
		"another's client certificate": {func(c *puppetdb.Config) { c.CertFile, c.KeyFile = foreign, foreignKey }, "the server refused client certificate"},
		"plain http to tls":            {func(c *puppetdb.Config) { *c = puppetdb.Config{URL: strings.Replace(base, "https", "http", 1)} }, "http status 400"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tc.edit(&cfg)
			_, err := client(t, cfg).Version(t.Context())
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "t0ken") {
				t.Errorf("error %v shows the token", err)
			}
		})
	}
	if got := s.Requests()[0].Header.Get("X-Authentication"); got != "t0ken" {
		t.Errorf("token %q", got)
	}
}

// Ensure that a renewed certificate is taken up, and a half-written one is not.
func TestCertificatesAreReadAgain(t *testing.T) {
	old, renewed := newAuthority(t, "old ca"), newAuthority(t, "renewed ca")
	dir := t.TempDir()
	cert, key := old.issue(t, dir, "sluice")
	ca := filepath.Join(dir, "ca.pem")
	move := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		stamp := time.Now().Add(time.Minute) // whatever the file system's resolution
		if err := os.Chtimes(to, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	move(old.file, ca)
	base, _ := old.secure(t)
	c := client(t, puppetdb.Config{URL: base, CAFile: ca, CertFile: cert, KeyFile: key, ServerName: "puppetdb.example.test", Retries: -1})
	ask := func() error { _, err := c.Version(t.Context()); return err }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("-----BEGIN EC PRI"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := ask(); err != nil {
		t.Errorf("a half-written key ended the service: %v", err)
	}
	renewed.issue(t, dir, "sluice")
	move(renewed.file, ca)
	if err := ask(); err == nil {
		t.Error("the replaced certificates are still in use")
	}
	move(old.file, ca)
	old.issue(t, dir, "sluice")
	if err := ask(); err != nil {
		t.Errorf("certificates put back: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		cfg  puppetdb.Config
		want string
	}{
		{puppetdb.Config{}, "expected http:// or https:// with a host"},
		{puppetdb.Config{URL: "puppetdb:8080"}, "expected http:// or https:// with a host"},
		{puppetdb.Config{URL: "ftp://puppetdb"}, "expected http:// or https:// with a host"},
		{puppetdb.Config{URL: "https://x/?query=y"}, "no query"},
		{puppetdb.Config{URL: "https://u:secret@x:y:z"}, "not an address"},
		{puppetdb.Config{URL: "http://u:secret@x", CAFile: junk}, "need an https url"},
		{puppetdb.Config{URL: "http://x", Token: "secret"}, "a token needs an https url"},
		{puppetdb.Config{URL: "https://x", CertFile: junk}, "expected both or neither"},
		{puppetdb.Config{URL: "https://x", CAFile: filepath.Join(dir, "absent.pem")}, "absent.pem: no such file"},
		{puppetdb.Config{URL: "https://x", CAFile: junk}, "junk.pem: no certificate in it"},
		{puppetdb.Config{URL: "https://x", CertFile: junk, KeyFile: junk}, "junk.pem: tls: failed to find any PEM data"},
		{puppetdb.Config{URL: "https://x", Timeout: -1}, "expected 0 or more"},
	} {
		c, err := puppetdb.New(tc.cfg)
		if err == nil || c != nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: error %v, want %q", tc.cfg, err, tc.want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	l.Close()
	_, err = client(t, puppetdb.Config{URL: base}).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), base) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v, want the address and the reason", err)
	}
}
