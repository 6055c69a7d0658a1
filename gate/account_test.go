package gate

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// TestAccountsGoFromStageToStage: each stage begins with what the verdict of the one before left, keeps that for as long as it lasts,
// and a stage that admits nobody changes nothing.
func TestAccountsGoFromStageToStage(t *testing.T) {
	for name, give := range map[string]func(s *site){
		"passed": func(*site) {},
		"promoted": func(s *site) {
			s.order(Order{Promote: &Promotion{Stage: "canary", By: "anna", Reason: "now"}, By: "anna", Reason: "now"})
		},
		"skipped": func(s *site) { s.order(Order{Skip: "fra1", By: "anna", Reason: "network"}) },
	} {
		s := newSite(t, 16)
		looks := 0
		s.verdict = func(r *Rollout) analyzer.Verdict {
			v := s.healthy(r)
			looks++
			v.Accounts = map[string]analyzer.Account{"compile": {Spent: float64(r.State.Current()+1) / 10, Against: []float64{float64(looks), 1, 1}}}
			return v
		}
		s.run(2 * time.Minute)
		if got := s.state("ntp").Accounts; got != nil {
			t.Fatalf("%s: the first stage begins with %v", name, got)
		}
		give(s)
		seen := []string{}
		for range 120 {
			s.look()
			st := s.state("ntp")
			if st.Phase == Running && st.Accounts != nil {
				if got := fmt.Sprintf("%s %.1f", st.Stages[st.Current()].Name, st.Accounts["compile"].Spent); !slices.Contains(seen, got) {
					seen = append(seen, got)
				}
				s.look()
				if next := s.state("ntp"); next.Current() == st.Current() && !reflect.DeepEqual(next.Accounts, st.Accounts) {
					t.Fatalf("%s: %v became %v within a stage", name, st.Accounts, next.Accounts)
				}
			}
			s.w.Now = s.w.Now.Add(time.Minute)
		}
		want := []string{"fra1 0.1", "everyone 0.2"}
		switch name {
		case "promoted": // the first of three stages counts as having spent all that it might have
			want[0] = "fra1 0.3"
		case "skipped":
			want = []string{"everyone 0.2"}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: %v, want %v", name, seen, want)
		}
	}
}

// TestAStagePassedOverGivesTheAccountsBack: where caps leave the current stage nobody, the one before it is judged again. What that showed
// must not count twice, and what is spent is spent.
func TestAStagePassedOverGivesTheAccountsBack(t *testing.T) {
	s := newSite(t, 40)
	for i := range s.w.Rollouts[0].Spec.Schedule.Stages {
		s.w.Rollouts[0].Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = 4
	}
	s.verdict = func(r *Rollout) analyzer.Verdict { // of a stage that spends a tenth and sees twice as much against the change
		v := s.healthy(r)
		a := r.State.Accounts["compile"]
		if a.Against == nil {
			a.Against = []float64{1, 1, 1}
		}
		v.Accounts = map[string]analyzer.Account{"compile": {Spent: a.Spent + .125, Against: []float64{2 * a.Against[0], 1, 1}}}
		return v
	}
	judgedAt := func(name string) analyzer.Account {
		for range 600 {
			s.look()
			st := s.state("ntp")
			if i := st.Current(); i >= 0 && (st.Stages[i].Name == name || st.Stages[i].Skipped && name == "passed over") {
				return st.Accounts["compile"]
			}
			s.w.Now = s.w.Now.Add(time.Minute)
		}
		t.Fatalf("no stage %s", name)
		return analyzer.Account{}
	}
	if got, want := judgedAt("fra1"), (analyzer.Account{Spent: .125, Against: []float64{2, 1, 1}}); !reflect.DeepEqual(got, want) {
		t.Fatalf("fra1 begins with %+v, want %+v", got, want)
	}
	s.kept["veto/fra1"] = s.fra1[1:] // those that it has admitted, too
	if got, want := judgedAt("passed over"), (analyzer.Account{Spent: .25}); !reflect.DeepEqual(got, want) {
		t.Errorf("the canary is judged again with %+v, want %+v", got, want)
	}
	if got, want := judgedAt("everyone"), (analyzer.Account{Spent: .375, Against: []float64{2, 1, 1}}); !reflect.DeepEqual(got, want) {
		t.Errorf("everyone begins with %+v, want %+v", got, want)
	}
}

// TestPassedOverWithoutAVerdict: where nothing can be judged when a stage is passed over, what the one before it spent stays spent all the
// same.
func TestPassedOverWithoutAVerdict(t *testing.T) {
	s := newSite(t, 40)
	for i := range s.w.Rollouts[0].Spec.Schedule.Stages {
		s.w.Rollouts[0].Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = 4
	}
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		if r.State.Current() == 0 {
			v.Accounts = map[string]analyzer.Account{"compile": {Spent: .125, Against: []float64{2, 1, 1}}}
		}
		return v
	}
	for range 600 {
		s.look()
		switch st := s.state("ntp"); {
		case st.Current() == 1 && st.Stages[1].Skipped:
			if got, want := st.Accounts["compile"], (analyzer.Account{Spent: .125}); !reflect.DeepEqual(got, want) {
				t.Errorf("the canary is judged again with %+v, want %+v", got, want)
			}
			return
		case st.Current() == 1:
			s.kept["veto/fra1"] = s.fra1[1:]
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	t.Error("no stage was passed over")
}

// TestAStageThatCouldNotBeJudgedShowsNothing: what earlier ones showed stays, and all that it might have spent is spent.
func TestAStageThatCouldNotBeJudgedShowsNothing(t *testing.T) {
	s := newSite(t, 16)
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		if r.State.Current() == 0 {
			v.Accounts = map[string]analyzer.Account{"compile": {Spent: .1, Against: []float64{3, 2, 1}}}
		}
		return v
	}
	for range 600 {
		s.look()
		switch st := s.state("ntp"); {
		case st.Current() == 1 && st.Promoted == nil:
			s.order(Order{Promote: &Promotion{Stage: "fra1", By: "anna", Reason: "now"}, By: "anna", Reason: "now"})
		case st.Current() == 2:
			if got, want := st.Accounts["compile"], (analyzer.Account{Spent: 2. / 3, Against: []float64{3, 2, 1}}); !reflect.DeepEqual(got, want) {
				t.Errorf("everyone begins with %+v, want %+v", got, want)
			}
			return
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	t.Error("no last stage")
}
