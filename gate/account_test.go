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
		if name == "skipped" {
			want = []string{"everyone 0.2"}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: %v, want %v", name, seen, want)
		}
	}
}
