package fleetsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb/pdbserver"
)

// Handler answers as PuppetDB (/pdb, /status) and as Prometheus (/api/v1/query, /-/healthy), with the scenario's faults.
func (s *Sim) Handler() http.Handler {
	pdb := pdbserver.Over(s)
	mux := http.NewServeMux()
	mux.Handle("/pdb/", s.faulty(pdb))
	mux.Handle("/status/", pdb)
	mux.HandleFunc("/api/v1/query", s.promQuery)
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "A simulated fleet is healthy.") })
	return mux
}

// faulty breaks answers as often as the scenario says.
func (s *Sim) faulty(pdb *pdbserver.Server) http.Handler {
	f := s.fleet.sc.Faults
	if f == (Faults{}) {
		return pdb
	}
	n := make(chan uint64, 1)
	n <- 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := <-n
		n <- i + 1
		fault := pdbserver.Fault{Delay: time.Duration(f.Slow)}
		switch u := unit(s.fleet.sc.Seed, forFault, i); {
		case u < float64(f.Cut):
			fault.Cut = true
		case u < float64(f.Cut+f.Repeat):
			fault.Repeat = 1
		case u < float64(f.Cut+f.Repeat+f.Fail):
			fault.Status, fault.Body = http.StatusInternalServerError, "Query backend terminated"
		}
		pdb.ServeWith(fault, w, r)
	})
}

// Serve runs the fleet against the clock and answers on l until ctx ends.
func (s *Sim) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	for {
		s.Advance(time.Now())
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			err := server.Shutdown(end)
			<-ended
			if errors.Is(err, context.DeadlineExceeded) {
				err = server.Close()
			}
			return err
		case err := <-ended:
			return err
		case <-time.After(min(max(time.Until(s.Next()), 5*time.Millisecond), 100*time.Millisecond)):
		}
	}
}
