package pdbserver

import (
	"context"
	"net/http"
	"time"
)

// Fault is one way in which a query goes wrong. The zero Fault is none.
type Fault struct {
	// Status and Body replace the answer: 500 "Query backend terminated".
	Status int
	Body   string
	// Delay passes before the answer begins; the client may go away meanwhile.
	Delay time.Duration
	// Cut ends the answer properly after half its bytes, with status 200: what
	// PuppetDB 8 does when a query exceeds its time after the first row.
	Cut bool
	// Abort breaks the connection after half the bytes.
	Abort bool
	// Garbage follows the answer.
	Garbage string
	// Repeat sends all rows that many times more.
	Repeat int
}

// Break makes the next times queries fail with f; earlier breaks come first.
func (s *Server) Break(f Fault, times int) {
	s.locked(func() {
		for range times {
			s.faults = append(s.faults, f)
		}
	})
}

// BreakUntilMended makes every query fail with f from now on.
func (s *Server) BreakUntilMended(f Fault) { s.locked(func() { s.forever = &f }) }

// Mend ends all faults.
func (s *Server) Mend() { s.locked(func() { s.faults, s.forever = nil, nil }) }

func (s *Server) nextFault() (f Fault) {
	s.locked(func() {
		if len(s.faults) > 0 {
			f, s.faults = s.faults[0], s.faults[1:]
		} else if s.forever != nil {
			f = *s.forever
		}
	})
	return f
}

func (f Fault) wait(ctx context.Context) error {
	if f.Delay == 0 {
		return nil
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f Fault) write(w http.ResponseWriter, body []byte) {
	switch {
	case f.Cut:
		body = body[:len(body)/2]
	case f.Abort:
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(append(body, f.Garbage...))
}

// ServeWith answers one request with a fault.
func (s *Server) ServeWith(f Fault, w http.ResponseWriter, r *http.Request) {
	s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faultKey{}, f)))
}

type faultKey struct{}
