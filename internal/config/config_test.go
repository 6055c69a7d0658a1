package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

const example = "../../deploy/examples/sluiced.yml"

func load(t testing.TB, path string) *Config {
	t.Helper()
	config, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestMinimal(t *testing.T) {
	got := load(t, filepath.Join(testdata, "good-minimal.yml"))
	hour, week := model.Duration(time.Hour), model.Duration(7*24*time.Hour)
	deadline := schedule.Deadline{After: week + hour, Then: schedule.ThenHold}
	want := &Config{
		Store: Store{Consul: Consul{Prefix: "sluice/"}},
		PuppetDB: PuppetDB{
			URL: "https://puppetdb.example.com:8081", PollInterval: model.Duration(30 * time.Second),
			MaxQueueDepth: 1000, Measured: 2000, MaxLag: model.Duration(10 * time.Minute), Overlap: model.Duration(15 * time.Minute),
			History: model.Duration(25 * time.Hour), Inventory: model.Duration(5 * time.Minute), Proof: ProofCatalog,
		},
		Tracks: map[string]Track{"production": {}},
		Schedules: map[string]schedule.Schedule{"careful": {
			Stages: []schedule.Stage{{
				Name: "all", Percent: schedule.Hundred, Ramp: schedule.Ramp{InFlight: schedule.DefaultInFlight},
				Bake: schedule.Bake{Time: hour, Runs: 2}, Pass: schedule.PassClean, Deadline: deadline,
			}},
			Growth: 4, Supersede: schedule.SupersedeQueue, Deadline: deadline,
		}},
		Policies:   map[string]analyzer.Policy{"default": analyzer.DefaultPolicy()},
		Edges:      Edges{Live: model.Duration(5 * time.Minute), MaxAge: model.Duration(time.Minute)},
		Web:        Web{ListenAddress: "127.0.0.1:9631"},
		Controller: Controller{Interval: model.Duration(10 * time.Second), StateDir: "/var/lib/sluice", History: 100},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestWritten(t *testing.T) {
	c := load(t, filepath.Join(testdata, "good-relative.yml"))
	for got, want := range map[string]string{
		c.PuppetDB.CA:                  filepath.Join(testdata, "tls/ca.pem"),
		c.PuppetDB.Key:                 "/etc/key.pem",
		c.PuppetDB.TokenFile:           filepath.Join(testdata, "puppetdb.token"),
		c.Store.Consul.TokenFile:       filepath.Join(testdata, "consul.token"),
		c.Grafana.TokenFile:            filepath.Join(testdata, "grafana.token"),
		c.Webhooks[0].TokenFile:        filepath.Join(testdata, "hook.token"),
		c.Controller.StateDir:          filepath.Join(testdata, "state"),
		c.Segments["fra1"].Selector:    `{facts.dc="fra1"}`,
		c.Windows["office"].Name:       "office",
		c.Webhooks[0].Timeout.String(): "10s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if few := c.Segments["few"]; *few.Percent != 1000 || len(few.Certnames) != 2 {
		t.Errorf("segment few: %+v", few)
	}
	if strict := c.Policies["strict"]; strict.Coverage != 0.995 || strict.Runs != 4 || strict.Silence != analyzer.DefaultPolicy().Silence {
		t.Errorf("policy strict: %+v", strict)
	}
	if _, ok := c.Policies["default"]; !ok {
		t.Error("no policy called default")
	}
	stages := c.Schedules["careful"].Stages
	if few := stages[0]; few.Nodes != 1 || few.Percent != 0 || few.Ramp.InFlight != (schedule.Amount{Nodes: 3}) ||
		few.Bake != (schedule.Bake{Time: model.Duration(time.Hour), Runs: 4}) ||
		few.Deadline != (schedule.Deadline{After: model.Duration(169 * time.Hour), Then: schedule.ThenBackout}) {
		t.Errorf("stage few: %+v", few)
	}
	if rest := stages[1]; rest.Percent != schedule.Hundred || rest.Deadline.Then != schedule.ThenHold ||
		rest.Deadline.After != model.Duration(48*time.Hour) || rest.Ramp.InFlight != (schedule.Amount{Nodes: 1, Percent: 50_000_000}) {
		t.Errorf("stage rest: %+v", rest)
	}
	if start := c.Schedules["careful"].Start.NotBefore; !start.Equal(time.Date(2027, 1, 31, 7, 0, 0, 0, time.UTC)) {
		t.Errorf("start: %s", start)
	}
}

func TestExampleLoads(t *testing.T) {
	c := load(t, example)
	const want = `  1 track: production
  4 segments: canary, few-web, fra1, old
  2 windows: night, office
  2 schedules: careful, flags (9 stages)
  1 policy: default (1 SLI)
  1 webhook: https://chat.example.com/<secret>
`
	if diff := cmp.Diff(want, c.Summary()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if limit := c.Policies["default"].SLIs[0].Max; limit == nil || *limit != 0.001 {
		t.Errorf("max: 0.1%% is read as %v", limit)
	}
	if diff := cmp.Diff([]string{"/usr/local/bin/site-enc", "--format", "yaml"}, c.ENC.Argv()); diff != "" {
		t.Error(diff)
	}
}

// TestStringRoundTrip: what is printed is a configuration that means the same.
func TestStringRoundTrip(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "good-*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("good files: %v, %v", files, err)
	}
	for _, file := range append(files, example) {
		config := load(t, file)
		text := config.String()
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: a secret is printed", file)
		}
		again, err := Parse("printed.yml", []byte(text))
		if err != nil {
			t.Fatalf("%s: printed as\n%s\nwhich is wrong: %v", file, text, err)
		}
		if len(again.Webhooks) != len(config.Webhooks) {
			t.Errorf("%s: webhooks got lost", file)
		}
		config.Webhooks, again.Webhooks = nil, nil // their URLs are masked
		if diff := cmp.Diff(config.String(), again.String()); diff != "" {
			t.Errorf("%s: printed and read again (-want +got):\n%s", file, diff)
		}
	}
}

func TestProblemsAreTyped(t *testing.T) {
	_, err := Parse("some.yml", []byte("tracks: {production: {}}\ntracks: {}\n"))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) < 2 {
		t.Fatalf("got %v", err)
	}
	want := Problem{File: "some.yml", Line: 2, Path: "tracks", Reason: "is given twice, first on line 1"}
	if last := problems[len(problems)-1]; last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
}

func TestReadToken(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{"hunter2\n": "hunter2", "": "", " \n": "", "one\ntwo\n": ""} {
		path := filepath.Join(dir, "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ReadToken of %q = %q, %v", content, got, err)
		}
	}
	if _, err := ReadToken(filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing token file: %v", err)
	}
}

// FuzzParse: never both a configuration and an error, the same answer twice,
// and what was accepted can be printed and read again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(testdata, "*.yml"))
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob(filepath.Join(filepath.Dir(example), "*.yml"))
	if err != nil || len(examples) < 8 {
		f.Fatal(examples, err)
	}
	for _, file := range append(files, examples...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse("fuzz.yml", data)
		if (config == nil) == (err == nil) {
			t.Fatalf("configuration %v beside error %v", config, err)
		}
		if err != nil {
			if _, again := Parse("fuzz.yml", data); again == nil || again.Error() != err.Error() || err.Error() == "" {
				t.Fatalf("first %q, then %v", err, again)
			}
			return
		}
		text := config.String()
		if len(config.Webhooks) > 0 {
			return // their URLs are masked
		}
		again, err := Parse("fuzz.yml", []byte(text))
		if err != nil || again.String() != text {
			t.Fatalf("printed as\n%s\nwhich is read as %v, %v", text, again, err)
		}
	})
}
