package analyzer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const recorded = "../testdata/puppetdb"

type manifest struct {
	Rollout struct{ Candidate, Baseline string }
	Reports []struct {
		File     string
		Certname string
		Expected struct {
			Outcome                      Outcome
			Exposed, Changed, Corrective bool
			Why                          string
		}
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(recorded, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// report is what the tests need of PuppetDB's JSON.
type report struct {
	Hash, Certname, Environment, Status string
	Noop                                bool
	CachedCatalogStatus                 string    `json:"cached_catalog_status"`
	CatalogUUID                         string    `json:"catalog_uuid"`
	ConfigurationVersion                string    `json:"configuration_version"`
	Start                               time.Time `json:"start_time"`
	End                                 time.Time `json:"end_time"`
	Produced                            time.Time `json:"producer_timestamp"`
	Received                            time.Time `json:"receive_time"`
	Metrics                             struct {
		Data []struct {
			Category, Name string
			Value          float64
		}
	}
	Events struct {
		Data []struct {
			Type    string `json:"resource_type"`
			Title   string `json:"resource_title"`
			Status  string
			File    string
			Line    int
			Message string
		}
	} `json:"resource_events"`
	Logs struct {
		Data []struct{ Level, Source, Message string }
	}
}

func (p report) run() Run {
	d := &Detail{Metrics: map[string]float64{}}
	for _, m := range p.Metrics.Data {
		d.Metrics[m.Category+"/"+m.Name] = m.Value
	}
	for _, e := range p.Events.Data {
		if e.Status == "failure" {
			d.Failures = append(d.Failures, Failure{Kind: KindResource, Resource: e.Type + "[" + e.Title + "]", File: e.File, Line: e.Line, Message: e.Message})
		}
	}
	for _, l := range p.Logs.Data {
		if l.Level == "err" && l.Source == "Puppet" && p.CatalogUUID == "" {
			d.Failures = append(d.Failures, Failure{Kind: KindCompile, Message: l.Message})
			break
		}
	}
	return Run{
		Hash: p.Hash, Certname: p.Certname, Environment: p.Environment, Status: p.Status, Noop: p.Noop,
		CachedCatalog: p.CachedCatalogStatus, CatalogUUID: p.CatalogUUID, ConfigurationVersion: p.ConfigurationVersion,
		Start: p.Start, End: p.End, Produced: p.Produced, Received: p.Received, Detail: d,
	}
}

func readRun(t *testing.T, file string) Run {
	t.Helper()
	var reports []report
	readJSON(t, file, &reports)
	if len(reports) != 1 {
		t.Fatalf("%s: %d reports, want 1", file, len(reports))
	}
	return reports[0].run()
}

func TestEveryRecordedReportIsClassifiedAsItsManifestSays(t *testing.T) {
	var m manifest
	readJSON(t, "manifest.json", &m)
	files, err := filepath.Glob(filepath.Join(recorded, "reports", "*.json"))
	if err != nil || len(files) == 0 || len(files) != len(m.Reports) {
		t.Fatalf("%d files, %d in the manifest (%v): want the same number and not 0", len(files), len(m.Reports), err)
	}
	for _, r := range m.Reports {
		t.Run(filepath.Base(r.File), func(t *testing.T) {
			got := readRun(t, r.File).Classify(m.Rollout.Candidate)
			want := Classification{r.Expected.Outcome, r.Expected.Exposed, r.Expected.Changed, r.Expected.Corrective}
			if got != want {
				t.Errorf("got %+v, want %+v: %s", got, want, r.Expected.Why)
			}
		})
	}
}

// Without detail a failure stays a failure, and nothing becomes exposed.
func TestRecordedReportsWithoutDetail(t *testing.T) {
	var m manifest
	readJSON(t, "manifest.json", &m)
	for _, r := range m.Reports {
		run := readRun(t, r.File)
		run.Detail = nil
		got := run.Classify(m.Rollout.Candidate)
		if got.Outcome != r.Expected.Outcome || got.Exposed != r.Expected.Exposed {
			t.Errorf("%s: got %+v, want %s, exposed %v", r.File, got, r.Expected.Outcome, r.Expected.Exposed)
		}
	}
}

// The two recorded runs of a broken candidate are enough to stop a stage, with the culprit.
func TestRecordedBrokenCandidateStops(t *testing.T) {
	first, again := readRun(t, "reports/candidate-failed-exec.json"), readRun(t, "reports/candidate-failed-exec-again.json")
	base := readRun(t, "reports/baseline-first-run-bad1.json")
	admitted := base.End.Add(time.Second)
	e := Evidence{
		Rollout: "r", Stage: "s", Kind: KindEnvironment, Candidate: "candidate", Baseline: "production", StageStarted: admitted,
		Nodes: []Node{{Certname: base.Certname, AdmittedAt: MomentOf(admitted)}}, Runs: []Run{base, first},
		Sources: Sources{Fresh: true, Through: first.Received}, Now: first.Received,
	}
	if v := Judge(DefaultPolicy(), e); v.Result != Inconclusive || v.Culprit == nil {
		t.Errorf("after one failure: %s (%s), want inconclusive with a culprit", v.Result, v.Reason)
	}
	e.Runs, e.Now = append(e.Runs, again), again.Received
	v := Judge(DefaultPolicy(), e)
	if v.Result != Fail || v.Road != RoadStopRule {
		t.Fatalf("after the second: %s (%s), want fail by the stop rule", v.Result, v.Reason)
	}
	if c := v.Culprit; c == nil || c.Resource != "Exec[candidate-broken]" || c.Line != 6 || c.Count != 1 {
		t.Errorf("culprit %+v, want Exec[candidate-broken] line 6 on 1 node", c)
	}
}
