package policies_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	policies "github.com/openinfrastructure/sluice/deploy/consul"
)

func TestRules(t *testing.T) {
	if diff := cmp.Diff([]string{"api", "edge-HOST", "init", "leader", "operator", "template", "viewer"}, policies.Names()); diff != "" {
		t.Fatalf("shipped policies (-want +got):\n%s", diff)
	}
	rules, err := policies.Rules("edge-puppet1.example.com")
	if err != nil || !strings.Contains(rules, `key "sluice/edges/puppet1.example.com" {`) || strings.Contains(rules, "edges/HOST") {
		t.Errorf("edge policy, error %v:\n%s", err, rules)
	}
	for _, bad := range []string{"", "root", "../leader", "edge-", `edge-a" { policy = "write" }`, "edge-a/b", "edge-a\n"} {
		if rules, err := policies.Rules(bad); err == nil {
			t.Errorf("policy %q gave:\n%s", bad, rules)
		}
	}
}
