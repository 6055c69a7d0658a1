package sluice_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/plan"
)

// exampleFleet generates an inventory of n nodes: ten are canaries or admins, every twentieth a database.
func exampleFleet(n int) func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
	return func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
		datacenters := []string{"fra1", "nyc1", "fra1", "sfo1", "ams1", "nyc1", "fra1", "sin1", "nyc1", "lab1"}
		for i := range n {
			name := fmt.Sprintf("web%d.example.com", i)
			switch {
			case i < 5:
				name = fmt.Sprintf("canary%d.example.com", i)
			case i < 10:
				name = fmt.Sprintf("admin%d.example.com", i)
			case i%20 == 0:
				name = fmt.Sprintf("db%d.example.com", i)
			}
			dc := datacenters[i/3%len(datacenters)]
			if dc == "lab1" && i%2 == 0 {
				dc = "fra1"
			}
			facts := map[string]any{"datacenter": dc, "criticality": []string{"low", "low", "medium", "high", ""}[i/7%5], "role": name[:2]}
			if err := add(name, "production_1", facts, nil, nil); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestExampleSchedules reads every example, plans each of its schedules for a fleet of its size, and holds the warnings to
// those that belong to it.
func TestExampleSchedules(t *testing.T) {
	start := time.Date(2026, 10, 19, 7, 0, 0, 0, time.UTC) // a Monday; both zones' clocks change in what follows
	for file, c := range map[string]struct {
		nodes, stages int
		expected      []string // what a warning may be about
	}{
		"small-shop":        {80, 4, []string{"the edges let"}},
		"one-datacenter":    {2000, 8, []string{"the edges let"}},
		"many-datacenters":  {20_000, 17, []string{"the edges let"}},
		"criticality-tiers": {10_000, 13, []string{"the edges let"}},
		"flag-only":         {3000, 9, []string{"the edges let", "stage one: too small"}},
		"emergency-fix":     {5000, 4, []string{"the edges let"}},
	} {
		t.Run(file, func(t *testing.T) {
			conf, err := config.Load(exampleFile(t, file))
			if err != nil {
				t.Fatal(err)
			}
			for name, s := range conf.Schedules {
				r := plan.Request{Name: "production_2", Path: "schedules." + name, Schedule: s, Segments: conf.SegmentsOf(s), Policy: conf.Policies["default"], Policies: conf.PoliciesOf(s),
					Calendar: schedule.Calendar{Windows: conf.WindowsOf(s), Freezes: conf.ReadFreezes(start)}, Start: start, Run: 30 * time.Minute, By: "facts.datacenter"}
				p, err := plan.Make(r, exampleFleet(c.nodes))
				if err != nil {
					t.Fatal(err)
				}
				checkExample(t, p, c.nodes, c.stages, c.expected)
			}
		})
	}
}

// exampleFile is a copy of an example beside the calendar that it names.
func exampleFile(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	const holidays = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Unity Day\r\n" +
		"DTSTART;VALUE=DATE:20201003\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	for file, text := range map[string]string{"holidays.ics": holidays, "sluiced.yml": read(t, "deploy/examples/"+name+".yml")} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sluiced.yml")
}

func checkExample(t *testing.T, p *plan.Plan, nodes, stages int, expected []string) {
	t.Helper()
	if len(p.Stages) != stages {
		t.Errorf("%d stages, expected %d", len(p.Stages), stages)
	}
	for _, s := range p.Stages {
		if s.Never != "" || s.New == 0 || s.Expected.End.Before(s.Earliest.End) {
			t.Errorf("stage %s: %+v", s.Stage, s)
		}
	}
	if last := p.Stages[len(p.Stages)-1]; last.Total+p.Settling != nodes {
		t.Errorf("%d nodes at the end and %d after it, of %d", last.Total, p.Settling, nodes)
	}
	for _, w := range p.Warnings {
		known := false
		for _, text := range expected {
			known = known || strings.Contains(w.Text, text)
		}
		if !known {
			t.Errorf("warns: %s", w.Text)
		}
	}
}
