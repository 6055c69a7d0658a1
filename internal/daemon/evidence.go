package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// evidence puts together what the judge looks at for the rollout's current stage. The caller holds the ledger.
func (l *leader) evidence(r *tree.Rollout, rollouts []tree.Rollout, course *course, baseline string, now time.Time) analyzer.Evidence {
	i := judged(&r.State)
	stage := r.State.Stages[i]
	e := analyzer.Evidence{
		Rollout: r.Spec.Name, Stage: stage.Name, StageIndex: i, Kind: r.Spec.Kind(), Candidate: r.Spec.Candidate, Baseline: baseline,
		StageStarted: stage.Since, Bake: time.Duration(r.Spec.Schedule.Stages[i].Bake.Time), Sources: l.collector.sources(now), Now: now,
		Nodes: course.nodes, Looks: r.State.Looks, Stages: len(r.Spec.Schedule.Stages), Accounts: r.State.Accounts,
	}
	// A stage that adds nobody asks for itself, of the nodes of the stage before.
	e.Ask, e.Asks = r.Spec.Schedule.Asks(r.State.Current())
	if c := course.chosen; c != nil {
		e.Nodes = c
	}
	// No further back than any leader reads, so that the next one judges on the same bytes.
	e.Runs = l.collector.ledger.troubled(r.State.Stages[0].Since.Add(-l.collector.lookBack()))
	taint(e.Runs, rollouts, func(set, print string) bool {
		_, known := l.sets.have[set]
		return !known || member(l.sets, set, print)
	})
	taintKept(e.Runs, r.Spec.Candidate, r.Spec.Salt, &r.State, func(set, print string) bool { return member(l.sets, set, print) })
	return e
}

func member(s *sets, set, print string) bool { return s.member(set)(print) }

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
			at, _ := r.State.ReachedAt(segments.Position(r.Spec.Salt, run.Certname), func(set string) bool { return member(set, segments.Fingerprint(run.Certname)) })
			if !at.IsZero() && !run.Produced.Before(at) && run.Start.Before(r.State.Since.Add(time.Minute)) {
				run.Tainted = true
				break
			}
		}
	}
}

// slis divides what Prometheus said of the policy's indicators into cohorts: canaries are admitted
// nodes that have run the change, controls are those not admitted.
func slis(answers []sampled, p analyzer.Policy, e *analyzer.Evidence) {
	if len(p.SLIs) == 0 {
		return
	}
	values := make([]map[string]float64, len(p.SLIs))
	for i, s := range p.SLIs {
		sample := analyzer.SLISample{Name: s.Name, Canary: map[string]float64{}, Control: map[string]float64{}}
		answer := sampled{err: errNotAsked}
		if len(answers) == len(p.SLIs) { // else the stage is another one than when they were asked
			answer = answers[i]
		}
		if answer.err != nil {
			sample.Err = answer.err.Error()
		}
		sample.Aggregate, values[i] = answer.sample.Aggregate, answer.sample.Values
		e.SLIs = append(e.SLIs, sample)
	}
	p.States(*e, func(certname string, st analyzer.NodeState) {
		for i := range values {
			v, ok := values[i][certname]
			switch {
			case !ok:
			case st.Admitted && st.Exposed:
				e.SLIs[i].Canary[certname] = v
			case !st.Admitted:
				e.SLIs[i].Control[certname] = v
			}
		}
	})
}

var errNotAsked = errors.New("it has not been asked yet")

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

// keepEvidence stores what a transition rests on, before the transition: evidence/DIGEST.json. It returns the digest.
func keepEvidence(dir string, e analyzer.Evidence) (digest string, err error) {
	dir = filepath.Join(dir, "evidence")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	f, err := renameio.NewPendingFile(filepath.Join(dir, "unnamed"), renameio.WithTempDir(dir), renameio.WithPermissions(0o640))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Cleanup() }() // of what did not become a file
	if digest, err = e.WriteCanonical(f); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return digest, os.Rename(f.Name(), filepath.Join(dir, digest+".json"))
}
