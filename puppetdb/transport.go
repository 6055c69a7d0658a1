package puppetdb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// stamp is what a file looked like when it was read.
type stamp struct {
	mod  time.Time
	size int64
}

// transport is an http.RoundTripper that takes up changed certificate files.
// Puppet certificates are renewed under a running daemon; files that cannot be
// used, such as half-written ones, leave the last good ones in service.
type transport struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	current *http.Transport
	stamps  [3]stamp
	broken  error // why the files of now are not in use
}

func newTransport(cfg Config) (*transport, error) {
	t := &transport{cfg: cfg}
	t.stamps = t.look()
	if err := t.load(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *transport) look() (s [3]stamp) {
	for i, name := range []string{t.cfg.CAFile, t.cfg.CertFile, t.cfg.KeyFile} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func (t *transport) load() error {
	conf, err := t.cfg.tlsConfig()
	if err != nil {
		return err
	}
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
	t.current = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
	}
	return nil
}

func (t *transport) pick() (*http.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.look(); now != t.stamps {
		t.broken = t.load()
		if t.broken == nil {
			t.stamps = now
		}
	}
	return t.current, t.broken
}

// RoundTrip sends req with the newest usable certificates.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	current, broken := t.pick()
	resp, err := current.RoundTrip(req)
	if err != nil && broken != nil {
		return nil, fmt.Errorf("%w (using older certificates: %w)", err, broken)
	}
	return resp, err
}

// CloseIdleConnections lets http.Client reach the pooled connections.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}

// refused reports whether the other side ended the handshake with an alert:
// asking again with the same certificate gives the same answer.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// explain adds to a transport error what an operator can do about it.
func (c *Config) explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (ca file %q does not hold the CA of the server's certificate)", err, c.CAFile)
	case errors.As(err, &host):
		return fmt.Errorf("%w (set the server name to one that the certificate carries)", err)
	case errors.As(err, &record):
		return fmt.Errorf("%w (is this the plain HTTP port?)", err)
	case refused(err):
		return fmt.Errorf("%w (the server refused client certificate %q)", err, c.CertFile)
	}
	return err
}
