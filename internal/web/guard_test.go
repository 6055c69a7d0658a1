package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func webConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// user is an entry of basic_auth_users.
func user(t *testing.T, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "basic_auth_users: {" + name + ": \"" + string(hash) + "\"}\n"
}

// whoami answers with the identity that reached it.
func whoami(w http.ResponseWriter, r *http.Request) {
	id, ok := IdentityFrom(r.Context())
	if !ok {
		_, _ = io.WriteString(w, "nobody")
		return
	}
	_ = json.NewEncoder(w).Encode(id)
}

// Who may write, by where the request comes from and what it carries.
func TestGuard(t *testing.T) {
	users := webConfig(t, user(t, "ada", "pw"))
	none := webConfig(t, "")
	const loopback = `{"Name":"loopback (unverified)","How":"loopback"}`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	login := func(name, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	local, far := "127.0.0.1:1234", "192.0.2.7:1234"
	tests := []struct {
		name, method, from, config string
		change                     func(*http.Request)
		code                       int
		body                       string // a part
	}{
		{"a read from anywhere", "GET", far, "", nil, 200, "nobody"},
		{"HEAD from anywhere", "HEAD", far, "", nil, 200, ""},
		{"a write from loopback", "POST", local, "", nil, 200, loopback},
		{"and over ipv6", "POST", "[::1]:1234", "", host("[::1]:80"), 200, loopback},
		{"and mapped", "POST", "[::ffff:127.0.0.1]:1234", "", nil, 200, loopback},
		{"and by name", "POST", local, "", host("LocalHost:80"), 200, loopback},
		{"and with TLS only in the file", "POST", local, none, nil, 200, loopback},
		{"a write from elsewhere", "POST", far, "", nil, 403, "expected a client certificate"},
		{"PUT", "PUT", far, "", nil, 403, "writes are refused"},
		{"PATCH", "PATCH", far, "", nil, 403, "writes are refused"},
		{"DELETE", "DELETE", far, "", nil, 403, "writes are refused"},
		{"a method of one's own", "BREW", far, "", nil, 403, "writes are refused"},
		{"elsewhere, with a file without users", "POST", far, none, login("ada", "pw"), 403, "writes are refused"},
		{"elsewhere, claiming loopback in Host", "POST", far, "", host("127.0.0.1"), 403, "writes are refused"},
		{"an address that does not parse", "POST", "@", "", nil, 403, "writes are refused"},
		{"a proxy on this host", "POST", local, "", header("X-Forwarded-For", "203.0.113.9"), 403, "writes are refused"},
		{"a proxy that says nothing", "POST", local, "", header("Forwarded", ""), 403, "writes are refused"},
		{"a name that resolves to loopback", "POST", local, "", host("evil.example:80"), 403, "writes are refused"},
		{"a name that starts like loopback", "POST", local, "", host("127.0.0.1.evil.example"), 403, "writes are refused"},
		{"another site in a browser", "POST", local, "", header("Sec-Fetch-Site", "cross-site"), 403, "cross-origin"},
		{"another site in an old browser", "POST", local, "", header("Origin", "https://evil.example"), 403, "cross-origin"},
		{"a user", "POST", far, users, login("ada", "pw"), 200, `{"Name":"ada","How":"basic"}`},
		{"a wrong password", "POST", far, users, login("ada", "no"), 403, "writes are refused"},
		{"an unknown user", "POST", far, users, login("eve", "pw"), 403, "writes are refused"},
		{"no user, from loopback, where there are users", "POST", local, users, nil, 403, "writes are refused"},
		{"a file that is gone", "POST", local, users + ".gone", nil, 403, "web config file"},
		{"a file that is torn", "POST", local, webConfig(t, "basic_auth_users: {ada"), nil, 403, "web config file"},
		{"a certificate that nobody verified", "POST", far, "", func(r *http.Request) {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "ada"}}}}
		}, 403, "writes are refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://127.0.0.1/-/reload", nil)
			r.RemoteAddr = tt.from
			if tt.change != nil {
				tt.change(r)
			}
			w := httptest.NewRecorder()
			guard{next: http.HandlerFunc(whoami), webConfigFile: tt.config}.handler().ServeHTTP(w, r)
			if w.Code != tt.code || (tt.method != http.MethodHead && !strings.Contains(w.Body.String(), tt.body)) {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.code, tt.body)
			}
		})
	}
}

// On a real server the file's users protect reads too, and name the writer.
func TestBasicAuth(t *testing.T) {
	file := webConfig(t, user(t, "ada", "pw"))
	s := run(t, Options{WebConfigFile: file, API: http.HandlerFunc(whoami)})
	base := "http://" + s.Addr()
	login := func(r *http.Request) { r.SetBasicAuth("ada", "pw") }
	if got := ask(t, "GET", base+"/metrics"); got.code != 401 {
		t.Errorf("without a user: got %d", got.code)
	}
	if got := ask(t, "POST", base+"/-/reload"); got.code != 401 {
		t.Errorf("reload without a user: got %d", got.code)
	}
	if got := ask(t, "POST", base+"/-/reload", login); got.code != 200 {
		t.Errorf("reload: got %d %s", got.code, got.body)
	}
	if got := ask(t, "POST", base+"/api/v1/x", login); !strings.Contains(got.body, `"Name":"ada"`) {
		t.Errorf("got %d %s", got.code, got.body)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "GET", base+"/metrics", login); got.code != 500 {
		t.Errorf("without the file: got %d", got.code)
	}
}

// authority is a CA that signs for the test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Puppet CA"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(t, "ca", template, template, nil)
	return a
}

// sign writes NAME.crt and NAME.key.
func (a authority) sign(t *testing.T, name string, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a authority) leaf(t *testing.T, name string) {
	t.Helper()
	a.sign(t, name, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, a.key)
}

// With client certificates the writer is the certificate's name; without one
// there is no connection at all.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	ca.leaf(t, "sluiced")
	ca.leaf(t, "ci.example.com")
	path := func(name string) string { return filepath.Join(ca.dir, name) }
	file := webConfig(t, "tls_server_config: {cert_file: "+path("sluiced.crt")+", key_file: "+path("sluiced.key")+
		", client_ca_file: "+path("ca.crt")+", client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [ci.example.com]}\n")
	s := run(t, Options{WebConfigFile: file, API: http.HandlerFunc(whoami)})

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	post := func(config *tls.Config) (string, error) {
		config.RootCAs = roots
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.Addr()+"/api/v1/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		// Even from loopback, by a proxy's account, the certificate counts.
		req.Header.Set("X-Forwarded-For", "203.0.113.9")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	load := func(name string) tls.Certificate {
		cert, err := tls.LoadX509KeyPair(path(name+".crt"), path(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	if got, err := post(&tls.Config{Certificates: []tls.Certificate{load("ci.example.com")}}); err != nil || !strings.Contains(got, `{"Name":"ci.example.com","How":"certificate"}`) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := post(&tls.Config{Certificates: []tls.Certificate{load("sluiced")}}); err == nil {
		t.Errorf("a name that is not allowed: got %q", got)
	}
	if got, err := post(&tls.Config{}); err == nil {
		t.Errorf("without a certificate: got %q", got)
	}
}

// Only "localhost" and what package net, too, takes for a loopback address
// pass, however a Host is written.
func FuzzLoopbackHost(f *testing.F) {
	for _, h := range []string{"localhost", "localhost:80", "127.0.0.1", "[::1]:80", "::1", "127.1", "127.0.0.1.example", "[::ffff:127.0.0.1]", "", "[[::1]]", "::1%x"} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !loopbackHost(host) {
			return
		}
		u, err := url.Parse("http://" + host)
		if err != nil || net.ParseIP(host) != nil {
			u = &url.URL{Host: "[" + host + "]"} // a bare IPv6 address is no URL
		}
		name := u.Hostname()
		if ip := net.ParseIP(name); !strings.EqualFold(name, "localhost") && (ip == nil || !ip.IsLoopback()) {
			t.Errorf("%q passes for loopback (%q)", host, name)
		}
	})
}
