// Package grafanatest is a server that keeps the contract of Grafana's
// annotations API, for tests: it takes what Grafana takes, answers what
// Grafana answers, and refuses everything else, unknown fields and parameters
// included. It knows only the calls that sluice makes.
//
// What it says about limits and defaults is read in Grafana's documentation
// and sources (docs/sources/developers/http_api/annotations.md,
// pkg/services/annotations): a tag list of at most 500 bytes, an end that
// defaults to the start, PATCH that leaves alone what it does not name.
package grafanatest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/grafana/grafana-openapi-client-go/models"
)

// Token is the only bearer token that a Server takes.
const Token = "glsa_test"

// Server is one Grafana. The zero value is not usable; call New.
type Server struct {
	// URL is Grafana's root, under a path, as behind a proxy.
	URL string

	mu          sync.Mutex
	annotations []*models.Annotation
	nextID      int64
	requests    []string // "METHOD path"
	status      int      // answered instead of working, 0 for none
	down        bool     // connections are cut before anything is read
	lose        int      // so many requests work, and their answer is lost
	slow        chan struct{}
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{nextID: 1}
	srv := httptest.NewServer(s)
	s.URL = srv.URL + "/grafana"
	t.Cleanup(func() {
		s.Release()
		srv.Close()
	})
	return s
}

// Annotations returns copies of what is stored, in the order it was made.
func (s *Server) Annotations() []models.Annotation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []models.Annotation
	for _, a := range s.annotations {
		c := *a
		c.Tags = slices.Clone(a.Tags)
		all = append(all, c)
	}
	return all
}

// Requests returns the requests seen, as "POST /api/annotations".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// SetDown cuts connections without an answer, until told otherwise.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// SetStatus answers every request with a status and does nothing; 0 ends that.
func (s *Server) SetStatus(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = code
}

// LoseAnswers does the work of the next n writes and cuts the connection
// instead of answering: the client cannot know that they succeeded.
func (s *Server) LoseAnswers(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// SetSlow keeps every request waiting until Release or until its client leaves.
func (s *Server) SetSlow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = make(chan struct{})
}

// Release lets waiting requests, and those to come, go on.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow != nil {
		close(s.slow)
		s.slow = nil
	}
}

func (s *Server) knobs(r *http.Request) (slow chan struct{}, down bool, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path[len("/grafana"):])
	return s.slow, s.down, s.status
}

// loses reports whether the answer to a write that worked is to be lost.
func (s *Server) loses(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lose == 0 || method == http.MethodGet {
		return false
	}
	s.lose--
	return true
}
