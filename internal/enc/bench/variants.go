package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/segments"
)

const (
	certname  = "web000042.fra1.example.com"
	baseline  = "production_1a2b3c4d"
	candidate = "production_8f3c2d1a"
)

// variant is one state of an edge, and the printer that says the same.
type variant struct {
	what         string
	enc, printer program
}

// situation is an accepted document with the sets it names and the answer it must give.
type situation struct {
	name, what, answer string
	doc                segments.Document
	sets               []segments.Set
}

func prepare(ctx context.Context, dir, enc string, members int) ([]variant, error) {
	if enc == "" {
		enc = filepath.Join(dir, "sluice-enc")
		if err := build(ctx, enc, "github.com/openinfrastructure/sluice/cmd/sluice-enc", ""); err != nil {
			return nil, err
		}
	}
	environments := filepath.Join(dir, "environments")
	for _, name := range []string{baseline, candidate} {
		if err := os.MkdirAll(filepath.Join(environments, name), 0o755); err != nil {
			return nil, err
		}
	}
	printers := map[string]program{}
	var all []variant
	for _, s := range situations(members) {
		state := filepath.Join(dir, s.name)
		if err := s.install(state, environments); err != nil {
			return nil, err
		}
		p, ok := printers[s.answer]
		if !ok {
			p = program{name: "printer-" + strconv.Itoa(len(printers)), answer: s.answer}
			p.argv = []string{filepath.Join(dir, p.name)}
			if err := build(ctx, p.argv[0], "github.com/openinfrastructure/sluice/internal/enc/bench/printer", s.answer); err != nil {
				return nil, err
			}
			printers[s.answer] = p
		}
		all = append(all, variant{s.what, program{s.name, []string{enc, "--state.dir=" + state, certname}, s.answer}, p})
	}
	// The same printer against itself says how much of a ratio is the machine's noise.
	p := all[0].printer
	again := program{p.name + "-again", p.argv, p.answer}
	return append(all, variant{"the printer against itself (noise)", again, p}), nil
}

// build makes a static program as `make build` does.
func build(ctx context.Context, to, pkg, answer string) error {
	ldflags := "-s -w"
	if answer != "" {
		ldflags += " '-X=main.answer=" + answer + "'"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", ldflags, "-o", to, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return nil
}

func situations(members int) []situation {
	names := make([]string, members)
	for i := range names {
		names[i] = fmt.Sprintf("web%06d.fra1.example.com", i)
	}
	everyone := segments.NewSet(names)
	stage := segments.NewSet(names[:members-1]) // another digest: two sets to search
	small := segments.NewSet(names[:1000])
	const off = "---\nparameters: {}\n"
	const on = "---\nenvironment: " + candidate + "\nparameters: {}\n"
	count := func(n int) string { return strconv.Itoa(n) }
	return []situation{
		{"none", "no set: 1 rollout, the node is on no track", off, document("", 1, ""), nil},
		{"small", "members in a set of 1000, 1 rollout, stage without a set", on, document(small.Digest, 1, ""), []segments.Set{small}},
		{"large", "members and stage in sets of " + count(members) + ", 1 rollout", on, document(everyone.Digest, 1, stage.Digest), []segments.Set{everyone, stage}},
		{"twenty", "the same with 20 rollouts", twentyFlags(), document(everyone.Digest, 20, stage.Digest), []segments.Set{everyone, stage}},
		twentySets(everyone, names),
	}
}

// twentySets gives every rollout a set of its own: what costs most.
func twentySets(everyone segments.Set, names []string) situation {
	s := situation{"twenty-sets", "the same, each with a stage set of its own", twentyFlags(), document(everyone.Digest, 20, ""), []segments.Set{everyone}}
	for i := range s.doc.Rollouts {
		set := segments.NewSet(names[:len(names)/10+i])
		s.doc.Rollouts[i].Stages[0].Set = set.Digest
		s.sets = append(s.sets, set)
	}
	return s
}

// document has one environment rollout and, where there are more, parameters rollouts beside it, each with
// one admitted stage at everyone.
func document(members string, rollouts int, stage string) segments.Document {
	d := segments.Document{
		Format: segments.Format, Epoch: "0c7c4a3e-5d0f-4a39-8f43-6f4c7b3f3b1a", Generation: 4711, Written: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		Tracks: []segments.Track{{Name: "production", Baseline: baseline, Members: members, Nodes: 1_000_000}},
	}
	for i := range rollouts {
		r := segments.Rollout{Name: "production-8f3c2d1a", Track: "production", Candidate: candidate, Stages: []segments.Stage{{Name: "everyone", Set: stage, Threshold: segments.All}}}
		if i > 0 {
			r.Name, r.Candidate, r.Parameters = flagName(i), "", map[string]any{flagName(i): true}
		}
		d.Rollouts = append(d.Rollouts, r)
	}
	return d
}

func flagName(i int) string { return fmt.Sprintf("feature-%02d", i) }

func twentyFlags() string {
	parameters := map[string]any{}
	for i := 1; i < 20; i++ {
		parameters[flagName(i)] = true
	}
	line, err := json.Marshal(map[string]any{"sluice": parameters})
	if err != nil {
		panic(err) // a map of truths
	}
	return "---\nenvironment: " + candidate + "\nparameters: " + string(line) + "\n"
}

// install writes what `sluice-enc accept` leaves for lookups.
func (s situation) install(state, environments string) error {
	s.doc.Sets = map[string]int{}
	if err := os.MkdirAll(filepath.Join(state, lookup.SetsDir), 0o755); err != nil {
		return err
	}
	for set := range slices.Values(s.sets) {
		s.doc.Sets[set.Digest] = set.Count
		if err := os.WriteFile(filepath.Join(state, lookup.SetsDir, set.Digest), set.Data, 0o644); err != nil {
			return err
		}
	}
	if err := s.doc.Validate(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	for name, v := range map[string]any{
		lookup.AdmissionsFile: lookup.Admissions{Document: s.doc, EnvironmentPath: environments},
		lookup.StopsFile:      struct{}{},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(state, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
