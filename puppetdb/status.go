package puppetdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	versionPath = "/pdb/meta/v1/version"
	statusPath  = "/status/v1/services/puppetdb-status"

	smallAnswer = 1 << 20 // bytes; bounds answers that are one small object
)

// dialect is what a version's query endpoint accepts.
type dialect struct {
	origin  bool // parameter origin, 7.6.0 on
	timeout bool // parameter timeout, 8.0.0 on
}

// dialectOf derives the dialect from a version such as "7.12.1". An unknown
// version gets neither parameter: leaving one out only costs convenience,
// sending one too many is a 400.
func dialectOf(version string) dialect {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	if err != nil {
		return dialect{}
	}
	b, err := strconv.Atoi(minor)
	if err != nil {
		b = 0
	}
	return dialect{origin: a > 7 || (a == 7 && b >= 6), timeout: a >= 8}
}

// dialect asks for the version once.
func (c *Client) dialect(ctx context.Context) (dialect, error) {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	v, err := c.Version(ctx)
	if err != nil {
		return dialect{}, err
	}
	d := dialectOf(v)
	c.mu.Lock()
	c.known = &d
	c.mu.Unlock()
	return d, nil
}

// forget makes the next query ask for the version again.
func (c *Client) forget() {
	c.mu.Lock()
	c.known = nil
	c.mu.Unlock()
}

// Version returns PuppetDB's version, "7.12.1". It is "" without an error
// where PuppetDB does not say: OpenVoxDB 8.12.0 answers with an empty string.
func (c *Client) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var answer struct {
		Version *string `json:"version"`
	}
	err := c.do(ctx, http.MethodGet, versionPath, nil, func(r io.Reader) error {
		if err := object(r, &answer); err != nil {
			return err
		}
		if answer.Version == nil {
			return fmt.Errorf("no version in the answer; is this a PuppetDB?")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return *answer.Version, nil
}

// Status is PuppetDB's opinion of itself.
type Status struct {
	State       string // "running", "starting", "error", …
	QueueDepth  int    // commands (reports, facts) accepted and not yet visible
	ReadUp      bool   // the database answers queries
	WriteUp     bool   // the database takes writes
	Maintenance bool
}

// Status asks for the state, also of a PuppetDB that is not running properly
// and says so with a 503. An answer without a queue depth is an error, never
// depth 0: with a deep queue "no report" must not be read as silence.
func (c *Client) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oneShot{}, true), c.cfg.Timeout)
	defer cancel()
	var s Status
	err := c.exchange(ctx, http.MethodGet, statusPath, nil, func(code int, r io.Reader) error {
		if code != http.StatusOK && code != http.StatusServiceUnavailable {
			return &StatusError{Path: statusPath, Code: code, Body: beginning(r)}
		}
		var err error
		s, err = decodeStatus(r)
		if err != nil && code != http.StatusOK {
			return &StatusError{Path: statusPath, Code: code, Body: err.Error()}
		}
		return err
	})
	if err != nil {
		return Status{}, err
	}
	return s, nil
}

func decodeStatus(r io.Reader) (Status, error) {
	var answer struct {
		State  string `json:"state"`
		Status struct {
			QueueDepth  *int  `json:"queue_depth"`
			ReadUp      bool  `json:"read_db_up?"`
			WriteUp     bool  `json:"write_db_up?"`
			Maintenance *bool `json:"maintenance_mode?"`
		} `json:"status"`
	}
	if err := object(r, &answer); err != nil {
		return Status{}, err
	}
	s := answer.Status
	if answer.State == "" || s.QueueDepth == nil || *s.QueueDepth < 0 || s.Maintenance == nil {
		return Status{}, fmt.Errorf("state %q without state, queue_depth or maintenance_mode?", answer.State)
	}
	return Status{answer.State, *s.QueueDepth, s.ReadUp, s.WriteUp, *s.Maintenance}, nil
}

// object decodes an answer that is one small JSON object and nothing else.
func object(r io.Reader, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, smallAnswer+1))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if len(b) > smallAnswer {
		return fmt.Errorf("answer: longer than %d bytes; expected one small object", smallAnswer)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
