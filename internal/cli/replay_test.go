package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/fleetsim"
)

const replayScenario = `
seed: 3
nodes: 400
track: production
baseline: production_a
run_interval: 30m
splay: 5m
history: 0s
retention: 12h
roles: {web: 50%, db: 50%}
environments:
  production_bad:
    changes: false
    effects:
      - {kind: fail, share: 40%, resource: "Service[nginx]", file: /code/nginx.pp, line: 14, message: "does not start"}
`

var replayed0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// recordedFleet writes the history of a bad change to a tenth of a fleet.
func recordedFleet(t *testing.T) (sim *fleetsim.Sim, reports, assignments string) {
	t.Helper()
	sc, err := fleetsim.Parse("scenario", []byte(replayScenario))
	if err != nil {
		t.Fatal(err)
	}
	a := fleetsim.Admission{Candidate: "production_bad", Share: .1, At: replayed0, Salt: "r"}
	sim = fleetsim.New(sc, replayed0.Add(-3*time.Hour), a.Classifier("production_a"))
	sim.Advance(replayed0.Add(2 * time.Hour))
	dir := t.TempDir()
	reports, assignments = filepath.Join(dir, "reports.ndjson"), filepath.Join(dir, "who.csv")
	var r, c bytes.Buffer
	if _, err := sim.WriteReports(&r, replayed0.Add(-3*time.Hour), replayed0.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := sim.WriteAssignments(&c, a); err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{reports: r.Bytes(), assignments: c.Bytes()} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return sim, reports, assignments
}

func sluice(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestReplay(t *testing.T) {
	sim, reports, who := recordedFleet(t)
	code, text, errs := sluice(t, "", "replay", "--assignments", who, "--reports", reports, "--candidate", "production_bad")
	if code != 0 || errs != "" || !strings.Contains(text, "\nfail after ") || !strings.Contains(text, "Service[nginx]") || !strings.Contains(text, "admitted nodes were exposed by then") {
		t.Fatalf("exit code %d\n%s\n%s", code, text, errs)
	}
	data, err := os.ReadFile(reports)
	if err != nil {
		t.Fatal(err)
	}
	code, fromFile, errs := sluice(t, string(data), "replay", "--assignments", who, "--reports", "-", "--candidate", "production_bad", "-o", "json")
	var got struct {
		Reports, Canaries, Admitted, Exposed int
		Verdict                              struct{ Result, Evidence string }
		Changes                              []struct{ Result string }
	}
	if err := json.Unmarshal([]byte(fromFile), &got); err != nil || code != 0 || got.Verdict.Result != "fail" || len(got.Verdict.Evidence) != 64 || got.Exposed == 0 || got.Exposed > got.Admitted {
		t.Fatalf("exit code %d, %v, %+v\n%s", code, err, got, errs)
	}

	// The same window out of PuppetDB gives the same looks.
	pdb := httptest.NewServer(sim.Handler())
	defer pdb.Close()
	conf := filepath.Join(t.TempDir(), "sluiced.yml")
	if err := os.WriteFile(conf, []byte(strings.Replace(planConfig, "http://127.0.0.1:1", pdb.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, fromPuppetDB, errs := sluice(t, "", "replay", "--assignments", who, "--config.file", conf, "--candidate", "production_bad", "-o", "json",
		"--from", replayed0.Add(-3*time.Hour).Format(time.RFC3339), "--to", replayed0.Add(2*time.Hour).Format(time.RFC3339))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var live struct {
		Reports, Exposed int
		Verdict          struct{ Result string }
	}
	if err := json.Unmarshal([]byte(fromPuppetDB), &live); err != nil || live.Reports != got.Reports || live.Exposed != got.Exposed || live.Verdict.Result != "fail" {
		t.Errorf("%v: from PuppetDB %+v, from the file %+v", err, live, got)
	}

	code, text, errs = sluice(t, "", "replay", "--reports", reports, "--placebo", "3", "--bake", "10m")
	if code != 0 || !strings.Contains(text, "3 random cohorts of 5 % of 400 nodes") || !strings.Contains(text, "false alarms here: ") {
		t.Errorf("exit code %d\n%s\n%s", code, text, errs)
	}
}

func TestReplayUsage(t *testing.T) {
	_, reports, who := recordedFleet(t)
	bad := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(bad, []byte("certname,cohort,admitted_at\nn1,treated,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{ExitUsage, "--assignments is required, unless with --placebo", nil},
		{ExitUsage, "--candidate ENVIRONMENT, --parameters or --placebo N is required", []string{"--assignments", who, "--reports", reports}},
		{ExitUsage, "exclude each other", []string{"--assignments", who, "--reports", reports, "--candidate", "a", "--parameters"}},
		{ExitUsage, "--from, --to and --config.file", []string{"--assignments", who, "--parameters"}},
		{ExitUsage, "--policy needs --config.file", []string{"--assignments", who, "--reports", reports, "--parameters", "--policy", "x"}},
		{ExitUsage, "more than 0% and less than 100%", []string{"--assignments", who, "--reports", reports, "--placebo", "2", "--share", "5"}},
		{ExitError, fmt.Sprintf("%s:2: cohort: \"treated\"", bad), []string{"--assignments", bad, "--reports", reports, "--parameters"}},
		{ExitError, "no such file", []string{"--assignments", who, "--reports", who + "x", "--parameters"}},
		{ExitError, who + ":1: found \"certname", []string{"--assignments", who, "--reports", who, "--parameters"}},
		{ExitError, "no report has the environment production_bda, expected one of: production_a, production_bad", []string{"--assignments", who, "--reports", reports, "--candidate", "production_bda"}},
		{ExitError, "no column \"rack\" makes strata", []string{"--assignments", who, "--reports", reports, "--parameters", "--strata", "rack"}},
	} {
		code, out, errs := sluice(t, "", append([]string{"replay"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit code %d, %s%s\nwant %d, %s", c.args, code, out, errs, c.code, c.want)
		}
	}
}
