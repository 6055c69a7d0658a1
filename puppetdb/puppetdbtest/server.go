package puppetdbtest

import (
	"net/http/httptest"
	"testing"

	"github.com/openinfrastructure/sluice/puppetdb/pdbserver"
)

// Server is a PuppetDB in memory. Fault is a way to break it, Request what it was
// asked.
type (
	Server  = pdbserver.Server
	Fault   = pdbserver.Fault
	Request = pdbserver.Request
)

// NewServer starts an empty PuppetDB 7.12.1, which ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s := NewHandler()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// NewHandler returns a Server that listens nowhere, for a test that needs its
// own listener or TLS.
func NewHandler() *Server { return pdbserver.New() }

// stampMS is how PuppetDB writes times.
const stampMS = "2006-01-02T15:04:05.000Z"
