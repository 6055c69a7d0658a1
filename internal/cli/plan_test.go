package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/plan"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

const planConfig = `
puppetdb: {url: "http://127.0.0.1:1"}
enc: {command: /usr/local/bin/site-enc}
tracks: {production: {}}
segments:
  canary: {certnames: ["canary*.example.com"]}
freezes:
  sale: {from: 2026-12-08, to: 2026-12-09, time_zone: Europe/Berlin}
schedules:
  datacenters:
    stages:
      - {name: canary, segment: canary, bake: {time: 2h, runs: 3}}
      - name: dc
        for_each: {attribute: enc.dc, order: [fra1, "*"], zones: {fra1: Europe/Berlin, "*": America/New_York}}
        percents: [10%, 60%]
        windows: [business_hours]
        bake: {time: 4h, runs: 4}
      - {name: everyone, approval: true, bake: {time: 4h, runs: 4}}
`

// overlapConfig has a stage of everyone after one that took half of some: the other half is nobody's control.
const overlapConfig = `
puppetdb: {url: "http://127.0.0.1:1"}
enc: {command: /usr/local/bin/site-enc}
tracks: {production: {}}
segments: {fra1: '{enc.dc="fra1"}'}
schedules: {overlap: {stages: [{name: half, segment: fra1, percent: 50%}, {name: fifth, percent: 20%}, {name: everyone}]}}
`

// fleetFile writes an inventory of n nodes, of which two are canaries.
func fleetFile(t *testing.T, dir string, n int) {
	t.Helper()
	var rows []map[string]any
	for i := range n {
		name := fmt.Sprintf("n%d.example.com", i)
		if i < 2 {
			name = fmt.Sprintf("canary%d.example.com", i)
		}
		rows = append(rows, map[string]any{"certname": name, "environment": "production_1", "facts": map[string]any{}, "trusted": map[string]any{},
			"enc": map[string]any{"dc": []string{"fra1", "ams1"}[i%2]}})
	}
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "inventory.json"), string(data))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPlanAndScheduleShow(t *testing.T) {
	dir := t.TempDir()
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	write(t, filepath.Join(dir, "sluiced.yml"), planConfig)
	write(t, filepath.Join(dir, "overlap.yml"), overlapConfig)
	fleetFile(t, dir, 400)
	s := newSite(t)
	at := []string{"--config.file", "sluiced.yml", "--start", "2026-12-04T08:00:00+01:00"}
	text := s.transcript(append([]string{"schedule", "show", "datacenters"}, at...)...) +
		s.transcript(append([]string{"plan", "ntp", "--schedule", "datacenters", "--inventory", "inventory.json", "--by", "enc.dc"}, at...)...) +
		s.transcript("plan", "ntp", "--schedule", "overlap", "--inventory", "inventory.json", "--config.file", "overlap.yml", "--start", "2026-12-04T08:00:00+01:00") +
		s.transcript("plan", "ntp", "--schedule", "gone", "--config.file", "sluiced.yml") +
		s.transcript("plan", "ntp", "--schedule", "datacenters", "--config.file", "sluiced.yml", "--start", "tomorrow") +
		s.transcript("plan", "ntp", "--schedule", "datacenters", "--config.file", "gone.yml")
	code, out, errOut := s.run(append([]string{"plan", "ntp", "--schedule", "datacenters", "--inventory", "inventory.json", "--list", "-o", "json"}, at...)...)
	var v plan.Plan
	if err := json.Unmarshal([]byte(out), &v); code != ExitOK || err != nil {
		t.Fatalf("exit %d, %v, %s", code, err, errOut)
	}
	_, list, _ := s.run(append([]string{"plan", "ntp", "--schedule", "datacenters", "--inventory", "inventory.json", "--list"}, at...)...)
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != 400 || !strings.HasPrefix(lines[0], "canary\tcanary0.example.com") || v.Nodes != 400 || len(v.Stages[0].Certs) != 2 {
		t.Errorf("%d lines, %d nodes", len(lines), v.Nodes)
	}
	t.Chdir(home)
	golden(t, "plan.txt", text)
}

// TestPlanAsksTheENC: with --enc the site's classifier says who is where and who is on the track; its failure is no plan.
func TestPlanAsksTheENC(t *testing.T) {
	dir := t.TempDir()
	script, file := filepath.Join(dir, "enc.sh"), filepath.Join(dir, "sluiced.yml")
	answer := "#!/bin/sh\ncase $1 in n[0-4]*) echo 'environment: development';; *) echo '{environment: production, parameters: {dc: fra1}}';; esac\n"
	write(t, file, strings.Replace(planConfig, "/usr/local/bin/site-enc", script, 1))
	fleetFile(t, dir, 60)
	args := []string{"plan", "ntp", "--schedule", "datacenters", "--config.file", file, "--inventory", filepath.Join(dir, "inventory.json"), "--enc", "-o", "json"}
	s := newSite(t)
	if code, out, errOut := s.run(args...); code != ExitError || out != "" || !strings.Contains(errOut, "what enc.* means is not known") {
		t.Errorf("without a classifier: exit %d, %s", code, errOut)
	}
	if err := os.WriteFile(script, []byte(answer), 0o700); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := s.run(args...)
	var v plan.Plan
	if err := json.Unmarshal([]byte(out), &v); code != ExitOK || err != nil {
		t.Fatalf("exit %d, %v, %s", code, err, errOut)
	}
	if v.Nodes != 2+5+10 || v.Stages[1].Of != v.Nodes || v.Stages[3].Of != 0 { // canaries, n5 to n9, n50 to n59; all of them in fra1
		t.Errorf("%d nodes, %d in fra1, %d elsewhere", v.Nodes, v.Stages[1].Of, v.Stages[3].Of)
	}
}

// TestPlanAsksPuppetDB: without a file PuppetDB says which nodes there are, and answers PQL.
func TestPlanAsksPuppetDB(t *testing.T) {
	pdb := puppetdbtest.NewServer(t)
	send := puppetdbtest.Commands(pdb.URL)
	for i := range 6 {
		name := fmt.Sprintf("n%d.example.com", i)
		send(t, "replace_facts", 5, name, map[string]any{"certname": name, "environment": "production_1", "producer_timestamp": "2026-12-01T00:00:00.000Z", "producer": "p",
			"values": map[string]any{"datacenter": []string{"fra1", "ams1", "nyc1"}[i%3]}})
	}
	file := filepath.Join(t.TempDir(), "sluiced.yml")
	write(t, file, fmt.Sprintf("puppetdb: {url: %q}\ntracks: {production: {}}\nsegments: {fra1: '{facts.datacenter=\"fra1\"}'}\nschedules: {s: {stages: [{name: one, segment: fra1}, {name: all}]}}\n", pdb.URL))
	s := newSite(t)
	code, out, errOut := s.run("plan", "ntp", "--schedule", "s", "--config.file", file, "--list")
	if want := "one\tn0.example.com\none\tn3.example.com\nall\tn1.example.com\nall\tn2.example.com\nall\tn4.example.com\nall\tn5.example.com\n"; code != ExitOK || out != want {
		t.Errorf("exit %d, %s\n%s", code, errOut, out)
	}
}
