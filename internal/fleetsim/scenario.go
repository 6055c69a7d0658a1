package fleetsim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// Share is a part of a whole, 0 to 1, written as a percentage: 0.01%.
type Share float64

// UnmarshalYAML reads a percentage.
func (s *Share) UnmarshalYAML(n *yaml.Node) error {
	if err := s.parse(n.Value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

func (s *Share) parse(text string) error {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(v >= 0 && v <= 100) {
		return fmt.Errorf("%q, expected a percentage from 0%% to 100%%", text)
	}
	*s = Share(v / 100)
	return nil
}

// Scenario describes a fleet and what changes do to it. The zero value of a field means its default.
type Scenario struct {
	Seed  uint64 `yaml:"seed"`
	Nodes int    `yaml:"nodes"` // 1 to 5,000,000
	// Track is the environment that nodes belong to, Baseline the one that they have at the beginning.
	Track    string `yaml:"track"`
	Baseline string `yaml:"baseline"`

	RunInterval model.Duration `yaml:"run_interval"`
	Splay       model.Duration `yaml:"splay"`
	// History is how long the fleet has been running already.
	History model.Duration `yaml:"history"`
	// Retention is how long reports are kept.
	Retention model.Duration `yaml:"retention"`

	Datacenters map[string]Share `yaml:"datacenters"`
	Roles       map[string]Share `yaml:"roles"`
	OS          map[string]Share `yaml:"os"`
	RackSize    int              `yaml:"rack_size"`

	RunTime RunTime `yaml:"run_time"`
	Base    Base    `yaml:"base"`
	Outages Outages `yaml:"outages"`
	Churn   Churn   `yaml:"churn"`
	// ClockSkew is the standard deviation of a node's clock against the puppetserver's.
	ClockSkew model.Duration `yaml:"clock_skew"`
	// Delay is the mean time from the end of a run until PuppetDB shows the report.
	Delay model.Duration `yaml:"delay"`

	Environments map[string]Change `yaml:"environments"`
	Parameters   map[string]Change `yaml:"parameters"` // by name of the parameter: where it is neither false nor absent
	Metrics      map[string]Metric `yaml:"metrics"`
	Faults       Faults            `yaml:"faults"`
}

// RunTime is how long runs take: a median, times the node's own factor, the run's and the time of day's.
type RunTime struct {
	Median     model.Duration `yaml:"median"`
	NodeSpread float64        `yaml:"node_spread"` // standard deviation of the logarithm
	RunSpread  float64        `yaml:"run_spread"`
	DailyDrift float64        `yaml:"daily_drift"` // amplitude of a sine of a day
}

// Base is what goes on without any change.
type Base struct {
	FailingNodes Share `yaml:"failing_nodes"` // nodes that fail in every run
	FailedRuns   Share `yaml:"failed_runs"`   // runs that fail once
	ChangedRuns  Share `yaml:"changed_runs"`
	Corrective   Share `yaml:"corrective_runs"`
	SkippedRuns  Share `yaml:"skipped_runs"` // runs that do not happen
	NoopNodes    Share `yaml:"noop_nodes"`
}

// Outages take a whole rack away for a while.
type Outages struct {
	PerRackDay Share          `yaml:"per_rack_day"`
	For        model.Duration `yaml:"for"`
}

// Churn is nodes that come and go, as a part of the fleet per day.
type Churn struct {
	Join  Share `yaml:"join"`
	Leave Share `yaml:"leave"`
}

// Kinds of effect.
const (
	Fail   = "fail"         // a resource fails, in every run
	Refuse = "compile_fail" // no catalog, and the run says so
	Hide   = "hidden"       // no catalog, hidden behind the cached one
	Slow   = "slow"         // runs take Factor times as long
	Mute   = "silent"       // no report any more
	SLI    = "sli"          // Metric is Value while the node has the change
)

// Change is what an environment, or a parameter, does to nodes.
type Change struct {
	// Changes says whether the first run alters the node; true unless set to false.
	Changes *bool    `yaml:"changes"`
	Effects []Effect `yaml:"effects"`
}

// Effect is one thing that goes wrong.
type Effect struct {
	Kind     string  `yaml:"kind"`
	Where    string  `yaml:"where"`    // a selector; "" is every node
	Share    *Share  `yaml:"share"`    // of these nodes; default 100%
	FromRun  int     `yaml:"from_run"` // of the environment; default 1
	Resource string  `yaml:"resource"` // Type[title]
	File     string  `yaml:"file"`
	Line     int     `yaml:"line"`
	Message  string  `yaml:"message"`
	Factor   float64 `yaml:"factor"`
	Metric   string  `yaml:"metric"`
	Value    float64 `yaml:"value"`
}

// Metric is one value per node, as a Prometheus would have it.
type Metric struct {
	Value  float64 `yaml:"value"`  // median
	Spread float64 `yaml:"spread"` // standard deviation of the logarithm
	Label  string  `yaml:"label"`  // default instance
}

// Faults of the simulated PuppetDB.
type Faults struct {
	Slow   model.Duration `yaml:"slow"`   // before every answer
	Cut    Share          `yaml:"cut"`    // answers that end in the middle, with status 200
	Repeat Share          `yaml:"repeat"` // answers that give every row twice
	Fail   Share          `yaml:"fail"`   // answers that are a 500
}

// Load reads a scenario strictly.
func Load(path string) (Scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Scenario{}, err
	}
	return Parse(path, data)
}

// Parse reads a scenario; name stands in errors.
func Parse(name string, data []byte) (Scenario, error) {
	var s Scenario
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("is empty, expected a scenario")
		}
		return s, fmt.Errorf("%s: %w", name, err)
	}
	s.setDefaults()
	if err := s.validate(); err != nil {
		var lines []string
		for line := range strings.SplitSeq(err.Error(), "\n") {
			lines = append(lines, name+": "+line)
		}
		return s, errors.New(strings.Join(lines, "\n"))
	}
	return s, nil
}

func fill[T comparable](dst *T, value T) {
	var zero T
	if *dst == zero {
		*dst = value
	}
}

func (s *Scenario) setDefaults() {
	fill(&s.Seed, 1)
	fill(&s.Nodes, 1000)
	fill(&s.Track, "production")
	fill(&s.Baseline, s.Track)
	fill(&s.RunInterval, model.Duration(30*time.Minute))
	fill(&s.History, 4*s.RunInterval)
	fill(&s.Retention, max(s.History, model.Duration(3*time.Hour)))
	fill(&s.RackSize, 40)
	fill(&s.RunTime.Median, model.Duration(20*time.Second))
	fill(&s.Outages.For, model.Duration(time.Hour))
	fill(&s.Delay, model.Duration(100*time.Millisecond))
	for _, m := range []struct {
		of   *map[string]Share
		only string
	}{{&s.Datacenters, "fra1"}, {&s.Roles, "web"}, {&s.OS, "Debian"}} {
		if len(*m.of) == 0 {
			*m.of = map[string]Share{m.only: 1}
		}
	}
}

func (s *Scenario) validate() error {
	var errs []error
	check := func(ok bool, path, expected string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %v, expected %s", path, got, expected))
		}
	}
	check(s.Nodes > 0 && s.Nodes <= 5_000_000, "nodes", "1 to 5000000", s.Nodes)
	check(s.RunInterval >= model.Duration(time.Second), "run_interval", "at least 1s", s.RunInterval)
	check(s.Splay >= 0 && s.Splay < s.RunInterval, "splay", "less than run_interval", s.Splay)
	check(s.History >= 0 && s.History <= s.Retention, "history", "at most retention ("+s.Retention.String()+")", s.History)
	check(s.RackSize > 0, "rack_size", "at least 1", s.RackSize)
	check(s.RunTime.Median > 0 && s.RunTime.Median < s.RunInterval, "run_time.median", "less than run_interval", s.RunTime.Median)
	for path, v := range map[string]float64{"node_spread": s.RunTime.NodeSpread, "run_spread": s.RunTime.RunSpread, "daily_drift": s.RunTime.DailyDrift} {
		check(v >= 0 && v < 3, "run_time."+path, "0 to 3", v)
	}
	for path, m := range map[string]map[string]Share{"datacenters": s.Datacenters, "roles": s.Roles, "os": s.OS} {
		sum := 0.0
		for _, v := range m {
			sum += float64(v)
		}
		check(math.Abs(sum-1) < 1e-9, path, "shares that add up to 100%", fmt.Sprintf("%.6g%%", 100*sum))
	}
	check(segments.IsEnvironment(s.Track), "track", "letters, digits and _", s.Track)
	check(segments.IsEnvironment(s.Baseline), "baseline", "letters, digits and _", s.Baseline)
	for _, name := range slices.Sorted(maps.Keys(s.Environments)) {
		check(segments.IsEnvironment(name), "environments."+name, "letters, digits and _", name)
		errs = append(errs, s.effects("environments."+name, s.Environments[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		errs = append(errs, s.effects("parameters."+name, s.Parameters[name])...)
	}
	return errors.Join(errs...)
}

func (s *Scenario) effects(path string, c Change) (errs []error) {
	for i, e := range c.Effects {
		at := fmt.Sprintf("%s.effects[%d]", path, i)
		check := func(ok bool, field, expected string, got any) {
			if !ok {
				errs = append(errs, fmt.Errorf("%s.%s: %v, expected %s", at, field, got, expected))
			}
		}
		kinds := []string{Fail, Refuse, Hide, Slow, Mute, SLI}
		check(slices.Contains(kinds, e.Kind), "kind", "one of "+strings.Join(kinds, ", "), fmt.Sprintf("%q", e.Kind))
		check(e.FromRun >= 0, "from_run", "at least 1", e.FromRun)
		if e.Where != "" {
			if _, err := selector.Parse(e.Where); err != nil {
				errs = append(errs, fmt.Errorf("%s.where: %w", at, err))
			}
		}
		if e.Kind == Fail {
			check(strings.Contains(e.Resource, "[") && strings.HasSuffix(e.Resource, "]"), "resource", "Type[title]", fmt.Sprintf("%q", e.Resource))
		}
		if e.Kind == Slow {
			check(e.Factor > 0, "factor", "more than 0", e.Factor)
		}
		if e.Kind == SLI {
			_, known := s.Metrics[e.Metric]
			check(known, "metric", "one of metrics", fmt.Sprintf("%q", e.Metric))
		}
	}
	return errs
}
