package puppetdb_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// Ensure that a server that never answers, and one that stops in the middle of
// a row, are both given up in time.
func TestTimeout(t *testing.T) {
	for name, pause := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"dripping": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `[{"hash":"1a`)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { timeout(t, pause) })
		})
	}
}

// timeout runs in a bubble, over pipes: sockets would keep its clock standing.
func timeout(t *testing.T, pause http.HandlerFunc) {
	far := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/version") {
			io.WriteString(w, `{"version":"7.12.1"}`)
			return
		}
		io.Copy(io.Discard, r.Body)
		pause(w, r)
	})}
	go server.Serve(far)
	defer server.Close()
	c, err := puppetdb.NewOver(puppetdb.Config{URL: "http://puppetdb.example.test:8080", Timeout: 30 * time.Second}, far.dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun := time.Now()
	if _, err = read(t.Context(), c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want deadline exceeded", err)
	}
	if took := time.Since(begun); took != 30*time.Second { // the bubble's clock is exact
		t.Errorf("given up after %s, want 30s", took)
	}
}

// pipes is a net.Listener without a network.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
