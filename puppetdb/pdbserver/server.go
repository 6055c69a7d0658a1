package pdbserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Server is a PuppetDB in memory, an http.Handler. Its methods are safe for
// concurrent use. The zero Server is not usable: see New.
type Server struct {
	URL string // base address, without a trailing slash, for whoever put it on a listener

	mu          sync.Mutex // guards what follows
	data        data
	version     string
	state       string
	queue       int
	maintenance bool
	faults      []Fault // of the next queries, in order
	forever     *Fault
	asked       []Request
	backend     Backend // instead of data, if not nil
}

// Request is one call that a Server answered or refused.
type Request struct {
	Path   string
	Body   string
	Header http.Header
}

// New returns an empty PuppetDB 7.12.1.
func New() *Server {
	return &Server{data: newData(), version: "7.12.1", state: "running"}
}

// SetVersion changes the version, and with it the parameters that are known.
func (s *Server) SetVersion(v string) { s.locked(func() { s.version = v }) }

// SetQueueDepth changes what status says; stored data is visible regardless.
func (s *Server) SetQueueDepth(n int) { s.locked(func() { s.queue = n }) }

// SetMaintenance changes what status says; in maintenance, queries get a 503.
func (s *Server) SetMaintenance(on bool) { s.locked(func() { s.maintenance = on }) }

// SetState changes the service's state. With anything but "running" status
// answers 503, and so do queries.
func (s *Server) SetState(state string) { s.locked(func() { s.state = state }) }

// Requests returns all calls so far, oldest first.
func (s *Server) Requests() (all []Request) {
	s.locked(func() { all = append(all, s.asked...) })
	return all
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.backend == nil { // a simulation runs for days, a test wants to know
		s.locked(func() { s.asked = append(s.asked, Request{r.URL.Path, string(body), r.Header.Clone()}) })
	}
	switch {
	case r.URL.Path == "/pdb/meta/v1/version":
		s.locked(func() { write(w, http.StatusOK, map[string]string{"version": s.version}) })
	case r.URL.Path == "/status/v1/services/puppetdb-status":
		s.locked(func() { s.writeStatus(w) })
	case r.URL.Path == "/pdb/cmd/v1" && r.Method == http.MethodPost:
		s.command(w, r, body)
	case strings.HasPrefix(r.URL.Path, "/pdb/query/v4"):
		s.query(w, r, body)
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // a client that went away is no fault of the test
}

func (s *Server) writeStatus(w http.ResponseWriter) {
	code := http.StatusOK
	if s.state != "running" {
		code = http.StatusServiceUnavailable
	}
	write(w, code, map[string]any{
		"service_name": "puppetdb-status", "service_version": s.version, "state": s.state,
		"status": map[string]any{
			"maintenance_mode?": s.maintenance, "queue_depth": s.queue, "read_db_up?": true, "write_db_up?": true,
		},
	})
}

// query answers a query, or breaks as the next fault says.
func (s *Server) query(w http.ResponseWriter, r *http.Request, body []byte) {
	fault, given := r.Context().Value(faultKey{}).(Fault)
	if !given {
		fault = s.nextFault()
	}
	if fault.wait(r.Context()) != nil {
		return // the client went away
	}
	if fault.Status != 0 {
		http.Error(w, fault.Body, fault.Status)
		return
	}
	a, err := s.understand(r, body)
	if err != nil {
		code := http.StatusBadRequest
		if u, ok := err.(unavailable); ok {
			code = u.code
		}
		http.Error(w, err.Error(), code)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	switch {
	case s.backend == nil:
		fault.write(w, encode(s.rows(a), fault.Repeat))
	case fault.Cut || fault.Abort || fault.Repeat > 0 || fault.Garbage != "":
		var whole bytes.Buffer
		_ = a.write(&whole, s.backend) // a buffer takes everything
		body := whole.Bytes()
		for range fault.Repeat {
			if inner := whole.Bytes(); len(inner) > 2 {
				body = append(append(bytes.Clone(body[:len(body)-1]), ','), inner[1:]...)
			}
		}
		fault.write(w, body)
	default:
		_ = a.write(w, s.backend) // a client that went away is no fault of ours
	}
}

type unavailable struct {
	code   int
	reason string
}

func (u unavailable) Error() string { return u.reason }

// understand compiles the query in a request.
func (s *Server) understand(r *http.Request, body []byte) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maintenance || s.state != "running" {
		return answer{}, unavailable{http.StatusServiceUnavailable, "PuppetDB is currently down. Try again later."}
	}
	ast, err := s.parameters(r, body)
	if err != nil {
		return answer{}, err
	}
	name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/pdb/query/v4"), "/")
	if pql, ok := ast.(string); ok {
		if name != "" {
			return answer{}, bad("PQL queries are only supported on /pdb/query/v4")
		}
		if name, ast, err = parsePQL(pql); err != nil {
			return answer{}, err
		}
	}
	e, ok := entities[name]
	if !ok {
		return answer{}, unavailable{http.StatusNotFound, "Not Found"}
	}
	q, err := e.compile(ast)
	return answer{entity: e, ast: ast, query: q, reports: boundsOf(ast)}, err
}

// rows evaluates a query over the data in memory.
func (s *Server) rows(a answer) []row {
	s.mu.Lock()
	defer s.mu.Unlock()
	agentOnly := a.entity.name == "reports" && !mentions(a.ast, "type")
	var rows []row
	for _, row := range s.data.rows(a.entity.name) {
		if a.query.match(row) && (!agentOnly || row["type"] == "agent") {
			rows = append(rows, a.query.project(row))
		}
	}
	if a.query.count {
		return []row{{"count": len(rows)}}
	}
	return rows
}

// parameters returns the query of a GET or POST, refusing what the version does
// not know.
func (s *Server) parameters(r *http.Request, body []byte) (any, error) {
	given := map[string]any{}
	switch r.Method {
	case http.MethodGet:
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, bad("%v", err)
		}
		for k, v := range values {
			given[k] = v[0]
		}
		if q, ok := given["query"].(string); ok && strings.HasPrefix(strings.TrimSpace(q), "[") {
			if given["query"], err = parse([]byte(q)); err != nil {
				return nil, bad("Malformed JSON for query: %s", q)
			}
		}
	case http.MethodPost:
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return nil, unavailable{http.StatusUnsupportedMediaType, "content type must be application/json"}
		}
		v, err := parse(body)
		m, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, bad("Malformed JSON for query: %s", body)
		}
		given = m
	default:
		return nil, unavailable{http.StatusMethodNotAllowed, "Method Not Allowed"}
	}
	for k := range given {
		if k != "query" && !(k == "origin" && atLeast(s.version, 7, 6)) && !(k == "timeout" && atLeast(s.version, 8, 0)) {
			return nil, bad("Unsupported query parameter '%s'", k)
		}
	}
	return given["query"], nil
}

// atLeast compares versions; OpenVoxDB 8.12.0 has an empty one.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 {
		a, b = 8, 12
	}
	return a > major || (a == major && b >= minor)
}

func parse(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func (q query) project(r row) row {
	if q.columns == nil {
		return r
	}
	out := row{}
	for _, c := range q.columns {
		out[c] = r.get(c)
	}
	return out
}

// encode writes rows as PuppetDB does, each times+1 times.
func encode(rows []row, times int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for range times + 1 {
		for _, r := range rows {
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			line, err := json.Marshal(r)
			if err != nil {
				panic(err) // rows come from JSON
			}
			b.Write(line)
		}
	}
	b.WriteByte(']')
	return b.Bytes()
}
