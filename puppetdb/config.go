package puppetdb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

// Config says how to reach one PuppetDB. Only URL is mandatory.
type Config struct {
	// URL is the base address, "https://puppetdb.example.com:8081". A path in
	// it is kept, for a reverse proxy.
	URL string
	// CAFile is a PEM file with the Puppet CA. Empty: the system's roots.
	CAFile string
	// CertFile and KeyFile are the PEM client certificate. Both or neither.
	// All three files are read again when they change.
	CertFile, KeyFile string
	// Token is sent as X-Authentication (Puppet Enterprise). It is refused
	// over plain HTTP to anything but loopback.
	Token string
	// ServerName is the name that the server's certificate must carry, where
	// it is not the host in URL.
	ServerName string
	// Timeout bounds one whole call: attempts, waits between them, and the
	// reading of the answer. Default 2 minutes.
	Timeout time.Duration
	// Retries is how often a call is repeated that failed before its first
	// row. Default 4; negative: never.
	Retries int
	// RetryWait is the wait before the first repetition; it doubles, up to 16
	// times itself. Default 500 ms.
	RetryWait time.Duration
}

const (
	defaultTimeout   = 2 * time.Minute
	defaultRetries   = 4
	defaultRetryWait = 500 * time.Millisecond
)

// base checks c, fills in its defaults and returns its parsed URL.
func (c *Config) base() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		// The parse error quotes the whole address, password and all.
		return nil, errors.New("puppetdb url: not an address; expected https://host:port")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("puppetdb url %q: expected http:// or https:// with a host and no query", u.Redacted())
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, fmt.Errorf("puppetdb %s: cert file %q and key file %q: expected both or neither", u.Redacted(), c.CertFile, c.KeyFile)
	}
	if u.Scheme == "http" {
		if c.CAFile != "" || c.CertFile != "" || c.ServerName != "" {
			return nil, fmt.Errorf("puppetdb %s: certificates and server name need an https url", u.Redacted())
		}
		if c.Token != "" && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("puppetdb %s: a token needs an https url", u.Redacted())
		}
	}
	if c.Timeout < 0 || c.RetryWait < 0 {
		return nil, fmt.Errorf("puppetdb %s: timeout %s, retry wait %s: expected 0 or more", u.Redacted(), c.Timeout, c.RetryWait)
	}
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.RetryWait = orDefault(c.RetryWait, defaultRetryWait)
	c.Retries = max(orDefault(c.Retries, defaultRetries), 0)
	return u, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// tlsConfig reads the files that c names.
func (c *Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("puppetdb ca file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("puppetdb ca file %s: no certificate in it; expected PEM", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("puppetdb cert file %s with key file %s: %w", c.CertFile, c.KeyFile, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
