package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// outcome is all that a demo has to show.
type outcome struct {
	Nodes    int // of the fleet
	Bad      course
	Good     course
	Baseline string         // of the track, at the end
	On       map[string]int // environment to nodes whose last report names it
	Took     time.Duration
}

// course is one rollout, as `sluice status`, the audit and PuppetDB tell it.
type course struct {
	Environment string
	Exit        int   // of sluice status -w
	Err         error `json:"-"`
	Phase       string
	Why         string
	Created     time.Time
	Since       time.Time // of the phase
	By          []string  // who backed it out or completed it, by the audit
	Culprit     *culprit
	Stages      []stage
	Ran         int       // nodes with a report of the environment
	First       time.Time // of these reports
	FirstFailed time.Time
	Late        int // runs that began more than 2 s after it was taken back
}

type stage struct {
	Name     string    `json:"name"`
	Admitted int       `json:"admitted"`
	Since    time.Time `json:"since"`
	Passed   time.Time `json:"passed"`
}

type culprit struct {
	Resource string `json:"resource"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Message  string `json:"message"`
	Count    int    `json:"count"`
}

func (c *culprit) String() string {
	if c == nil {
		return "nothing in particular"
	}
	text := c.Resource
	if c.File != "" {
		file := c.File
		if i := strings.Index(file, "/modules/"); i >= 0 {
			file = file[i+1:]
		}
		text += fmt.Sprintf(" at %s:%d", file, c.Line)
	}
	return text
}

// ask fills a course in.
func (s *site) ask(ctx context.Context, c *course) error {
	var status struct {
		Phase   string    `json:"phase"`
		Why     string    `json:"why"`
		Created time.Time `json:"created"`
		Since   time.Time `json:"since"`
		Culprit *culprit  `json:"culprit"`
		Stages  []stage   `json:"stages"`
	}
	if err := s.read(ctx, &status, "status", c.Environment, "-o", "json"); err != nil {
		return err
	}
	c.Phase, c.Why, c.Created, c.Since, c.Culprit, c.Stages = status.Phase, status.Why, status.Created, status.Since, status.Culprit, status.Stages
	var audit struct {
		Entries []struct{ Kind, By string } `json:"entries"`
	}
	if err := s.read(ctx, &audit, "audit", c.Environment, "-o", "json", "-n", "200"); err != nil {
		return err
	}
	for _, e := range audit.Entries {
		if e.Kind == "backed_out" || e.Kind == "completed" {
			c.By = append(c.By, e.By)
		}
	}
	return s.reports(ctx, c)
}

// read runs a command and decodes what it prints. An exit code that only says how a rollout is doing is no error.
func (s *site) read(ctx context.Context, v any, args ...string) error {
	var out, errOut bytes.Buffer
	cmd := s.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && args[0] == "status" && exit.ExitCode() > 2) {
		return fmt.Errorf("sluice %s: %w: %s", strings.Join(args, " "), err, errOut.String())
	}
	if err := json.Unmarshal(out.Bytes(), v); err != nil {
		return fmt.Errorf("sluice %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// reports counts who ran the change, as the reports say.
func (s *site) reports(ctx context.Context, c *course) error {
	var rows []struct {
		Certname string    `json:"certname"`
		Status   string    `json:"status"`
		Start    time.Time `json:"start_time"`
		End      time.Time `json:"end_time"`
	}
	if err := s.query(ctx, &rows, "reports", `["extract",["certname","status","start_time","end_time"],["=","environment","`+c.Environment+`"]]`); err != nil {
		return err
	}
	ran := map[string]bool{}
	for _, r := range rows {
		ran[r.Certname] = true
		c.First = earlier(c.First, r.End)
		if r.Status == "failed" {
			c.FirstFailed = earlier(c.FirstFailed, r.End)
		}
		if c.Phase == "backed_out" && r.Start.After(c.Since.Add(2*time.Second)) {
			c.Late++
		}
	}
	c.Ran = len(ran)
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// track is where the store says that the track stands.
func (s *site) track() (t struct {
	Baseline string
	Nodes    int
}, err error) {
	data, err := os.ReadFile(filepath.Join(s.path("tree"), "tracks", "production"))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("tracks/production: %w", err)
	}
	return t, nil
}

// fleet says where every node is, by its last report.
func (s *site) fleet(ctx context.Context, out *outcome) error {
	track, err := s.track()
	if err != nil {
		return err
	}
	out.Baseline, out.On = track.Baseline, map[string]int{}
	var rows []struct {
		Certname    string `json:"certname"`
		Environment string `json:"report_environment"`
	}
	if err := s.query(ctx, &rows, "nodes", `["extract",["certname","report_environment"],["~","certname","."]]`); err != nil {
		return err
	}
	names := make([]string, 0, len(rows))
	for _, r := range rows {
		out.On[r.Environment]++
		names = append(names, r.Certname)
	}
	if len(names) > 0 {
		s.someNode = slices.Min(names)
	}
	return nil
}

// query asks the fleet's PuppetDB.
func (s *site) query(ctx context.Context, rows any, entity, query string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.puppetdb+"/pdb/query/v4/"+entity+"?query="+url.QueryEscape(query), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("PuppetDB's %s: %s: %s", entity, resp.Status, body)
	}
	if err := json.NewDecoder(resp.Body).Decode(rows); err != nil {
		return fmt.Errorf("PuppetDB's %s: %w", entity, err)
	}
	return nil
}
