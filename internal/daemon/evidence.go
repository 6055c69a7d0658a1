package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// fleet answers questions about the nodes of one track at one look.
type fleet struct {
	nodes     []*node
	positions map[string]string // certname → u, for one salt
}

func newFleet(nodes []*node, salt string) *fleet {
	f := &fleet{nodes: nodes, positions: make(map[string]string, len(nodes))}
	for _, n := range nodes {
		f.positions[n.certname] = segments.Position(salt, n.certname)
	}
	return f
}

// sets gives published sets by digest, read from the store once.
type sets struct {
	store store.Store
	have  map[string]segments.Set
}

func (s *sets) get(ctx context.Context, digest string, count int) (segments.Set, error) {
	if set, ok := s.have[digest]; ok {
		return set, nil
	}
	set, err := edge.FetchSet(ctx, s.store, digest, count)
	if err != nil {
		return segments.Set{}, err
	}
	s.have[digest] = set
	return set, nil
}

func (s *sets) member(digest string) func(fingerprint string) bool {
	data := s.have[digest].Data
	n := len(data) / segments.LineWidth
	return func(print string) bool {
		at := func(i int) string { return string(data[i*segments.LineWidth : i*segments.LineWidth+segments.Digits]) }
		i := sort.Search(n, func(i int) bool { return at(i) >= print })
		return i < n && at(i) == print
	}
}

// population gives who is in a stage. A stage that began has its set; one that comes next is resolved now.
func (f *fleet) population(set string, in []*node, state *gate.State, before int, member func(set, print string) bool) gate.Population {
	p := gate.Population{Set: set}
	for _, n := range in {
		u := f.positions[n.certname]
		p.Positions = append(p.Positions, u)
		at, stage := state.AdmittedAt(u, func(set string) bool { return member(set, n.fingerprint) })
		if !at.IsZero() && stage < before {
			p.Earlier = append(p.Earlier, u)
		}
	}
	slices.Sort(p.Positions)
	slices.Sort(p.Earlier)
	return p
}

// evidence puts together what the judge looks at for the rollout's current stage.
func (l *leader) evidence(r *tree.Rollout, rollouts []tree.Rollout, f *fleet, baseline string, member func(set, print string) bool, now time.Time) analyzer.Evidence {
	i := r.State.Current()
	for i > 0 && r.State.Stages[i].Skipped {
		i-- // a stage that added nobody proves nothing: the one before it is judged on
	}
	stage := r.State.Stages[i]
	e := analyzer.Evidence{
		Rollout: r.Spec.Name, Stage: stage.Name, StageIndex: i, Kind: r.Spec.Kind(), Candidate: r.Spec.Candidate, Baseline: baseline,
		StageStarted: stage.Since, Bake: time.Duration(r.Spec.Schedule.Stages[i].Bake.Time), Sources: l.collector.sources(now), Now: now,
	}
	for _, n := range f.nodes {
		at, by := r.State.AdmittedAt(f.positions[n.certname], func(set string) bool { return member(set, n.fingerprint) })
		e.Nodes = append(e.Nodes, analyzer.Node{Certname: n.certname, AdmittedAt: at, Stage: min(by, i)})
	}
	// No further back than any leader reads, so that the next one judges on the same bytes.
	e.Runs = l.collector.runs(r.State.Stages[0].Since.Add(-l.collector.lookBack()))
	taint(e.Runs, rollouts, func(set, print string) bool {
		_, known := l.sets.have[set]
		return !known || member(set, print)
	})
	return e
}

// taint marks failed runs that a node made under a change which was backed out since: what failed then must not excuse
// the next try of it.
func taint(runs []analyzer.Run, rollouts []tree.Rollout, member func(set, print string) bool) {
	for k := range runs {
		run := &runs[k]
		if !failed(*run) {
			continue
		}
		for i := range rollouts {
			r := &rollouts[i]
			if r.State.Phase != gate.BackedOut || len(r.State.Stages) == 0 {
				continue
			}
			if r.Spec.Candidate != "" && run.Environment == r.Spec.Candidate {
				run.Tainted = true
				break
			}
			at, _ := r.State.AdmittedAt(segments.Position(r.Spec.Salt, run.Certname), func(set string) bool { return member(set, segments.Fingerprint(run.Certname)) })
			if !at.IsZero() && !run.Produced.Before(at) && run.Start.Before(r.State.Since.Add(time.Minute)) {
				run.Tainted = true
				break
			}
		}
	}
}

// slis asks Prometheus for every indicator of the policy and divides the answers into cohorts: canaries are admitted
// nodes that have run the change, controls are those not admitted.
func (l *leader) slis(ctx context.Context, p analyzer.Policy, e *analyzer.Evidence) {
	if len(p.SLIs) == 0 {
		return
	}
	states := p.Exposure(*e)
	// A Prometheus that hangs costs one look a few seconds, and never a back-out.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, s := range p.SLIs {
		sample := analyzer.SLISample{Name: s.Name, Canary: map[string]float64{}, Control: map[string]float64{}}
		answer, err := l.ask(ctx, s, e.Now)
		if err != nil {
			sample.Err = err.Error()
		}
		sample.Aggregate = answer.Aggregate
		for certname, v := range answer.Values {
			switch st, known := states[certname]; {
			case known && st.Admitted && st.Exposed:
				sample.Canary[certname] = v
			case known && !st.Admitted:
				sample.Control[certname] = v
			}
		}
		e.SLIs = append(e.SLIs, sample)
	}
}

func (l *leader) ask(ctx context.Context, s analyzer.SLIPolicy, now time.Time) (sli.Sample, error) {
	if l.site.prom == nil {
		return sli.Sample{}, errors.New("no Prometheus is configured")
	}
	q := sli.Query{Name: s.Name, PromQL: s.Query, Label: s.Label}
	if s.Node != "" {
		re, err := regexp.Compile(s.Node)
		if err != nil {
			return sli.Sample{}, fmt.Errorf("node: %w", err)
		}
		q.Node = re
	}
	return l.site.prom.Sample(ctx, q, now)
}

// keepEvidence stores what a transition rests on, before the transition: evidence/DIGEST.json.
func keepEvidence(dir string, e analyzer.Evidence, digest string) error {
	if digest == "" {
		return errors.New("the verdict names no evidence")
	}
	data, err := e.Canonical()
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest {
		return fmt.Errorf("what was judged is not the evidence %s that the verdict names", digest)
	}
	path := filepath.Join(dir, "evidence", digest+".json")
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o640)
}
