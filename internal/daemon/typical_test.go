package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
)

// ramped is a rollout of two stages that admit their nodes over six hours each, on a fleet whose runs get shorter by the hour.
type ramped struct {
	spec  *gate.Spec
	state *gate.State
	inv   *inventory
	r     *roster
}

func newRamped(n int) *ramped {
	p := &ramped{spec: &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp"}, state: &gate.State{Phase: gate.Running}, inv: &inventory{}}
	for i := range n {
		p.inv.nodes = append(p.inv.nodes, &node{fmt.Sprintf("n%07d.example.test", i), &said{}})
	}
	p.r = newRoster(&tracked{nodes: p.inv.nodes}, p.spec.Salt, p.inv)
	return p
}

// begins is when a stage does, since t0.
func begins(stage int) time.Duration { return time.Duration(6+6*stage) * time.Hour }

// hour lets thresholds rise.
func (p *ramped) hour(h time.Duration) {
	if h < begins(0) {
		return
	}
	stage := min(int((h-begins(0))/(6*time.Hour)), 1)
	if stage == len(p.state.Stages) {
		p.state.Stages = append(p.state.Stages, gate.StageState{Name: fmt.Sprint(stage), Since: t0.Add(begins(stage))})
	}
	share := uint64(stage)*30 + uint64((h-begins(stage))/time.Hour+1)*5
	p.state.Admissions = append(p.state.Admissions, gate.Admission{At: t0.Add(h), Stage: stage, Threshold: segments.FromShare(share * segments.Billion / 100)})
}

// reports are two of every node in the hour that begins then.
func (p *ramped) reports(h time.Duration) (out []puppetdb.Report) {
	for k := range 2 {
		for i, n := range p.inv.nodes {
			at := t0.Add(h + time.Duration(k)*30*time.Minute + time.Duration(i+1)*time.Second)
			took := 400*time.Second - h/200
			out = append(out, puppetdb.Report{Hash: fmt.Sprintf("%x%x%x", h, k, i), Certname: n.certname, Environment: "production_1", Status: "unchanged", CachedCatalogStatus: "not_used", CatalogUUID: "u",
				StartTime: at, EndTime: at.Add(took), ProducerTimestamp: at.Add(took), ReceiveTime: at.Add(took)})
		}
	}
	return out
}

// TestTypicalIsOfBeforeTheStage: what is usual for a node ends with the start of the stage, whether it is admitted hours later, and
// more runs than are remembered, or never; and a new leader says the same, with the file of the one before and without.
func TestTypicalIsOfBeforeTheStage(t *testing.T) {
	p := newRamped(40)
	newOne := func() *ledger {
		l := newLedger(func() time.Time { return t0.Add(24 * time.Hour) })
		l.expect(p.inv)
		return l
	}
	live, saved := newOne(), (*ledger)(nil)
	var all []puppetdb.Report
	for h := time.Duration(0); h < 17*time.Hour; h += time.Hour {
		p.hour(h)
		var courses []*course
		for _, l := range []*ledger{live, saved} {
			if l != nil && len(p.state.Stages) > 0 {
				courses = append(courses, l.follow(p.spec, p.state, p.r, 24*time.Hour, nil))
			}
		}
		reports := p.reports(h)
		all = append(all, reports...)
		for _, l := range []*ledger{live, saved} {
			if l != nil {
				l.add(reports, nil)
			}
		}
		if h == 14*time.Hour {
			var err error
			if saved, err = read(t, fileOf(t, live)); err != nil {
				t.Fatal(err)
			}
			saved.now = live.now
			continue
		}
		if len(courses) == 0 {
			continue
		}
		anew := newOne()
		c := anew.follow(p.spec, p.state, p.r, 24*time.Hour, nil)
		anew.add(all, nil)
		for _, got := range append(courses, c) {
			if diff := cmp.Diff(courses[0].sums, got.sums); diff != "" {
				t.Fatalf("after %s (-live +another leader):\n%s", h, diff)
			}
		}
		stage := len(p.state.Stages) - 1
		before := begins(stage)/time.Hour - 2 // the fifth of the eight runs before the stage, or the third of seven
		want := uint16((400*time.Second - before*time.Hour/200) / (250 * time.Millisecond))
		for i := range c.nodes {
			if typical := c.sums[i].Typical; c.nodes[i].Stage >= 0 && int(c.nodes[i].Stage) < stage {
				if typical != 0 {
					t.Fatalf("after %s: %s was admitted by an earlier stage, and %d is typical of it", h, c.nodes[i].Certname, typical)
				}
			} else if typical != want {
				t.Fatalf("after %s: %d is typical of %s (stage %d), expected %d", h, typical, c.nodes[i].Certname, c.nodes[i].Stage, want)
			}
		}
	}
	if saved == nil {
		t.Error("no file was taken up")
	}
}
