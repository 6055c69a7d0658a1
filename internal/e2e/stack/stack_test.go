package stack

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// report is what these tests look at of a stored report.
type report struct {
	Certname    string `json:"certname"`
	Environment string `json:"environment"`
	Status      string `json:"status"`
	Version     string `json:"configuration_version"`
	Producer    string `json:"producer"`
}

// TestStack boots everything once and shows that a report finds its way from an agent on each puppetserver to PuppetDB,
// an SLI from a node to Prometheus, and that components come back after they were stopped.
func TestStack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	withENC := func(s *Stack, p *Puppetserver) (string, error) {
		if p == s.Puppetservers[0] {
			return "", nil
		}
		return s.SiteENC(), nil
	}
	s, err := Start(ctx, "", Options{Logf: t.Logf, ExternalNodes: withENC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir); err == nil {
			t.Errorf("%s is still there after Close", s.Dir)
		}
	})
	for i, p := range s.Puppetservers {
		manifest := "node default { file { \"${facts['managed']}/motd\": content => \"role ${facts['role']}\\n\" } }\n"
		if err := p.DeployEnvironment("production", map[string]string{"manifests/site.pp": manifest}, fmt.Sprint("sig", i)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("agents report", func(t *testing.T) { testAgentsReport(ctx, t, s) })
	t.Run("site ENC decides", func(t *testing.T) { testSiteENCDecides(ctx, t, s) })
	t.Run("another ENC", func(t *testing.T) { testAnotherENC(ctx, t, s) })
	t.Run("puppetdb needs an allowed certificate", func(t *testing.T) { testPuppetDBAccess(ctx, t, s) })
	t.Run("sli", func(t *testing.T) { testSLI(ctx, t, s) })
	t.Run("stop and start", func(t *testing.T) { testStopStart(ctx, t, s) })
}

func testAgentsReport(ctx context.Context, t *testing.T, s *Stack) {
	nodes := [][]string{{"n1.test", "n2.test"}, {"n3.test", "n4.test"}}
	want := map[string]report{}
	for i, names := range nodes {
		for _, n := range names {
			s.SetFact(n, "role", "of-"+n)
			want[n] = report{n, "production", "changed", fmt.Sprint("sig", i), s.Puppetservers[i].Certname}
		}
		results, err := s.RunAgents(ctx, i, names, 2)
		if err != nil {
			t.Fatal(err)
		}
		for n, r := range results {
			t.Logf("%s: first run, %.1f s", n, r.Duration.Seconds())
			if r.ExitCode != 2 {
				t.Errorf("%s: exit code %d, want 2:\n%s", n, r.ExitCode, r.Output)
			}
			motd, err := os.ReadFile(filepath.Join(s.ManagedDir(n), "motd"))
			if err != nil || string(motd) != "role of-"+n+"\n" {
				t.Errorf("%s: motd is %q, %v", n, motd, err)
			}
		}
	}
	if diff := cmp.Diff(want, latestReports(ctx, t, s)); diff != "" {
		t.Errorf("reports in PuppetDB (-want +got):\n%s", diff)
	}
}

func testSiteENCDecides(ctx context.Context, t *testing.T, s *Stack) {
	p := s.Puppetservers[1]
	if err := p.DeployEnvironment("legacy", map[string]string{"manifests/site.pp": "notice('legacy')\n"}, "old"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSiteENC("n3.test", "---\nenvironment: legacy\nparameters: {role: db}\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.FailSiteENC("n4.test", 3); err != nil {
		t.Fatal(err)
	}
	results, err := s.RunAgents(ctx, 1, []string{"n3.test", "n4.test"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for n, r := range results {
		t.Logf("%s: later run, %.1f s", n, r.Duration.Seconds())
	}
	if !strings.Contains(results["n4.test"].Output, "returned 3") {
		t.Errorf("n4.test: the ENC's exit code 3 is not in the output:\n%s", results["n4.test"].Output)
	}
	got := latestReports(ctx, t, s)["n3.test"]
	if want := (report{"n3.test", "legacy", "unchanged", "old", p.Certname}); got != want {
		t.Errorf("n3.test: report is %+v, want %+v\n%s", got, want, results["n3.test"].Output)
	}
	if err := s.SetSiteENC("n4.test", "---\nenvironment: production\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveEnvironment("legacy"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Agent(ctx, "n3.test", 1, "--noop")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.Output, "Could not find a directory environment named 'legacy'") {
		t.Errorf("n3.test: want a missing environment, got:\n%s", r.Output)
	}
}

func testAnotherENC(ctx context.Context, t *testing.T, s *Stack) {
	program := filepath.Join(t.TempDir(), "enc.sh")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"{environment: $1, classes: {}}\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	installed, err := s.InstallProgram(program)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Puppetservers[0]
	if err := p.DeployEnvironment("candidate", nil, "new"); err != nil {
		t.Fatal(err)
	}
	if err := p.SetExternalNodes(installed + " candidate"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Agent(ctx, "n1.test", 0)
	if err != nil {
		t.Fatal(err)
	}
	got := latestReports(ctx, t, s)["n1.test"]
	if want := (report{"n1.test", "candidate", "unchanged", "new", p.Certname}); got != want {
		t.Errorf("n1.test: report is %+v, want %+v\n%s", got, want, r.Output)
	}
}

func testPuppetDBAccess(ctx context.Context, t *testing.T, s *Stack) {
	u := s.PuppetDB.TLSURL + "/pdb/query/v4/nodes"
	client, err := tlsClient(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(ctx, client, u); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without a certificate: %v, want 403", err)
	}
	cert, err := tls.LoadX509KeyPair(s.PuppetDB.Cert, s.PuppetDB.Key)
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{cert}
	if _, err := get(ctx, client, u); err != nil {
		t.Errorf("with the certificate of %s: %v", ClientCertname, err)
	}
}

func testSLI(ctx context.Context, t *testing.T, s *Stack) {
	for i, n := range []string{"n1.test", "n2.test"} {
		if err := s.SetSLI(n, "app_error_ratio", float64(i)/4); err != nil {
			t.Fatal(err)
		}
	}
	waitQuery(ctx, t, s, "app_error_ratio", map[string]string{"n1.test": "0", "n2.test": "0.25"})
	if err := os.WriteFile(filepath.Join(s.ManagedDir("n1.test"), SLIFile), []byte("app_error_ratio 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	waitQuery(ctx, t, s, "app_error_ratio", map[string]string{"n1.test": "1", "n2.test": "0.25"})
}

func testStopStart(ctx context.Context, t *testing.T, s *Stack) {
	before := latestReports(ctx, t, s)
	began := time.Now()
	for _, svc := range []*Service{&s.PuppetDB.Service, &s.Prometheus.Service, &s.Postgres.Service} {
		if err := svc.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if svc.Running() {
			t.Errorf("%s runs after Stop", svc.name)
		}
	}
	if _, err := s.PuppetDB.QueueDepth(ctx); err == nil {
		t.Error("a stopped PuppetDB answers")
	}
	t.Logf("stopped after %.1f s", time.Since(began).Seconds())
	s.Puppetservers[0].Kill()
	for _, svc := range []*Service{&s.Postgres.Service, &s.PuppetDB.Service, &s.Prometheus.Service, &s.Puppetservers[0].Service} {
		began := time.Now()
		if err := svc.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s back after %.1f s", svc.name, time.Since(began).Seconds())
	}
	if diff := cmp.Diff(before, latestReports(ctx, t, s)); diff != "" {
		t.Errorf("reports after the restart (-before +after):\n%s", diff)
	}
	if err := s.Prometheus.Start(ctx); err == nil {
		t.Error("a second Start succeeded")
	}
}

func latestReports(ctx context.Context, t *testing.T, s *Stack) map[string]report {
	t.Helper()
	if err := s.PuppetDB.WaitQueue(ctx); err != nil {
		t.Fatal(err)
	}
	query := s.PuppetDB.URL + "/pdb/query/v4/reports?query=" + url.QueryEscape(`["=", "latest_report?", true]`)
	body, err := get(ctx, plainClient, query)
	if err != nil {
		t.Fatal(err)
	}
	var list []report
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	reports := map[string]report{}
	for _, r := range list {
		reports[r.Certname] = r
	}
	return reports
}

// waitQuery asks Prometheus until the instant vector, by instance, is the wanted one.
func waitQuery(ctx context.Context, t *testing.T, s *Stack, query string, want map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		got := instant(ctx, t, s, query)
		if cmp.Equal(want, got) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is %v, want %v", query, got, want)
		case <-tick.C:
		}
	}
}

func instant(ctx context.Context, t *testing.T, s *Stack, query string) map[string]string {
	t.Helper()
	body, err := get(ctx, plainClient, s.Prometheus.URL+"/api/v1/query?query="+url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range answer.Data.Result {
		got[r.Metric["instance"]] = fmt.Sprint(r.Value[1])
	}
	return got
}
