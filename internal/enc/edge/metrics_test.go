package edge

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/segments"
)

// scraped reads the metrics file as node_exporter does: by Prometheus' own parser.
func (s *server) scraped() map[string]float64 {
	s.Helper()
	data, err := os.ReadFile(s.Config.MetricsFile)
	if err != nil {
		s.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(data)))
	if err != nil {
		s.Fatalf("%v in\n%s", err, data)
	}
	values := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += "{" + l.GetName() + "=" + l.GetValue() + "}"
			}
			values[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		if counter := strings.HasSuffix(name, "_total"); counter != (f.GetType() == dto.MetricType_COUNTER) {
			s.Errorf("%s is a %s", name, f.GetType())
		}
	}
	return values
}

func (s *server) expect(what string, want map[string]float64) {
	s.Helper()
	got := s.scraped()
	for name, v := range want {
		if value, ok := got[name]; !ok || value != v {
			s.Errorf("%s: %s is %v (there: %t), want %v", what, name, value, ok, v)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newServer(t)
	now := time.Date(2027, 1, 31, 8, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	s.accept()
	s.expect("nothing was rendered", map[string]float64{
		"sluice_enc_ready": 0, "sluice_enc_generation": 0, "sluice_enc_refused{reason=missing}": 1,
		"sluice_enc_refusals_total{reason=missing}": 1, "sluice_enc_last_accept_timestamp_seconds": float64(now.Unix()),
	})
	if _, there := s.scraped()["sluice_enc_document_written_timestamp_seconds"]; there {
		t.Error("a document that does not exist has a time")
	}

	set := segments.NewSet([]string{"on"})
	d := document(3, segments.Stage{Name: "canary", Set: set.Digest, Threshold: segments.All})
	d.Epoch, d.Written, d.Sets[set.Digest] = "one \"two\"\\\n", now.Add(-time.Minute), 1
	s.publish(d)
	s.expect("a set nobody has", map[string]float64{
		"sluice_enc_ready": 0, "sluice_enc_refused{reason=set}": 1, "sluice_enc_refused{reason=missing}": 0,
		"sluice_enc_set_fetches_total{result=failed}": 1, "sluice_enc_set_fetches_total{result=ok}": 0,
	})
	s.putSet(set)
	s.accept()
	s.expect("accepted", map[string]float64{
		"sluice_enc_ready": 1, "sluice_enc_generation": 3, "sluice_enc_epoch_info{epoch=one \"two\"\\\n}": 1,
		"sluice_enc_document_written_timestamp_seconds":  float64(now.Unix() - 60),
		"sluice_enc_document_accepted_timestamp_seconds": float64(now.Unix()),
		"sluice_enc_refused{reason=set}":                 0, "sluice_enc_refusals_total{reason=set}": 1,
		"sluice_enc_sets": 1, "sluice_enc_set_fetches_total{result=ok}": 1, "sluice_enc_clamped": 0,
		"sluice_enc_environments{state=pinned}": 1, "sluice_enc_environments{state=unpinned}": 1,
	})

	s.write("rendered/manifest", "", 0o644)
	s.write("rendered/flags", "\"force\" \"3\"\n\"freeze\" \"true\"\nend\n", 0o644)
	now = now.Add(time.Hour)
	s.accept()
	s.accept()
	s.expect("an empty file", map[string]float64{
		"sluice_enc_refused{reason=empty}": 1, "sluice_enc_refusals_total{reason=empty}": 2, "sluice_enc_generation": 3,
		"sluice_enc_document_accepted_timestamp_seconds": float64(now.Add(-time.Hour).Unix()),
		"sluice_enc_forced": 1, "sluice_enc_stops": 1,
	})
}

// A torn file of counters costs the counters and nothing else; a directory that is not there is told.
func TestMetricsSurviveTheirFiles(t *testing.T) {
	s := newServer(t)
	s.write("state/"+countersFile, `{"refusals": {"empty": 7`, 0o644)
	s.publish(document(1))
	s.expect("torn counters", map[string]float64{"sluice_enc_ready": 1, "sluice_enc_refusals_total{reason=empty}": 0})
	s.Config.MetricsFile = s.dir + "/not/there.prom"
	if st := s.accept(); !strings.Contains(strings.Join(st.Problems, "\n"), "cannot write metrics") {
		t.Errorf("%q", st.Problems)
	}
}

// Promtool's lint is what a reviewer of metrics would say.
func TestMetricsAreWellNamed(t *testing.T) {
	s := newServer(t)
	s.publish(document(1))
	f, err := os.Open(s.Config.MetricsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics (from the Debian package prometheus, see make tools): %v\n%s", err, out)
	}
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v: node_exporter runs as another user", info.Mode(), err)
	}
}
