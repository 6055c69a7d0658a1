package puppetdbtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openinfrastructure/sluice/puppetdb"
)

func (k *contract) inventory(t *testing.T) {
	role := "role-" + k.domain
	k.inject(t, "replace_facts", 5, k.name("i1"), map[string]any{
		"certname": k.name("i1"), "environment": "production", "producer_timestamp": k.epoch.Format(stampMS), "producer": "x",
		"values": map[string]any{"role": role, "memory": 8589934592, "os": map[string]any{"family": "Debian"}},
	})
	want := []puppetdb.Node{{Certname: k.name("i1"), Environment: "production", Facts: map[string]any{
		"role": role, "memory": json.Number("8589934592"), "os": map[string]any{"family": "Debian"}}}}
	for name, tc := range map[string]struct {
		filter any
		want   []puppetdb.Node
	}{
		"all":    {nil, want},
		"match":  {[]any{"and", []any{"=", "facts.role", role}, []any{"~", "facts.os.family", "^Deb"}}, want},
		"none":   {[]any{"and", []any{"=", "facts.role", role}, []any{"=", "facts.os.family", "RedHat"}}, nil},
		"absent": {[]any{"=", "facts.nosuchfact", "x"}, nil},
	} {
		var got []puppetdb.Node
		err := k.c.Inventory(t.Context(), tc.filter, func(n puppetdb.Node) error {
			if strings.HasSuffix(n.Certname, k.domain) {
				got = append(got, n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// projection relies on what inventory stored.
func (k *contract) projection(t *testing.T) {
	filter := []any{"=", "certname", k.name("i1")}
	ask := []string{"facts.os.family", "facts.memory", "facts.os.nosuchfact", "trusted.extensions.pp_role"}
	var got []puppetdb.Node
	err := k.c.InventoryOf(t.Context(), ask, filter, func(n puppetdb.Node) error { got = append(got, n); return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []puppetdb.Node{{Certname: k.name("i1"), Environment: "production", Trusted: map[string]any{}, Facts: map[string]any{
		"memory": json.Number("8589934592"), "os": map[string]any{"family": "Debian"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("projected inventory (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"facts", "os.family", "trusted.", "facts." + strings.Repeat("x", 58)} {
		if err := k.c.InventoryOf(t.Context(), []string{bad}, nil, nil); err == nil || !strings.Contains(err.Error(), "expected facts.NAME") {
			t.Errorf("attribute %q: %v", bad, err)
		}
	}
}

func (k *contract) nodes(t *testing.T) {
	older, newer := k.payload("n1", 3*time.Hour), k.payload("n1", 4*time.Hour)
	newer["environment"], newer["status"] = "candidate", "failed"
	k.store(t, newer)
	k.store(t, older) // late: does not become the latest
	k.store(t, k.payload("n2", 3*time.Hour))
	gone := k.epoch.Add(5 * time.Hour).Format(stampMS)
	k.inject(t, "deactivate_node", 3, k.name("n2"), map[string]any{"certname": k.name("n2"), "producer_timestamp": gone})
	var got []puppetdb.NodeStatus
	err := k.c.Nodes(t.Context(), func(n puppetdb.NodeStatus) error {
		if n.Certname == k.name("n1") || n.Certname == k.name("n2") {
			got = append(got, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := puppetdb.NodeStatus{Certname: k.name("n1"), ReportTimestamp: k.epoch.Add(4*time.Hour - time.Second),
		ReportEnvironment: "candidate", CachedCatalogStatus: "not_used", LatestReportStatus: "failed"}
	if len(got) == 1 {
		want.LatestReportHash = got[0].LatestReportHash
	}
	if diff := cmp.Diff([]puppetdb.NodeStatus{want}, got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if !slices.Contains(k.hashes(t, "n1"), want.LatestReportHash) {
		t.Errorf("latest report %q is not among the node's reports", want.LatestReportHash)
	}
	if n := len(k.hashes(t, "n2")); n != 1 {
		t.Errorf("a deactivated node shows %d reports, want 1", n)
	}
}

func (k *contract) pql(t *testing.T) {
	k.store(t, k.payload("p1", 6*time.Hour))
	var got []string
	collect := func(name string) error { got = append(got, name); return nil }
	if err := k.c.PQL(t.Context(), fmt.Sprintf("nodes[certname] { certname ~ '^p1.%s$' }", k.domain), collect); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{k.name("p1")}) {
		t.Errorf("pql gave %v, want %v", got, k.name("p1"))
	}
	err := k.c.PQL(t.Context(), "nodes[latest_report_status] { }", collect)
	if err == nil || !strings.Contains(err.Error(), "latest_report_status; expected certname") {
		t.Errorf("a query without certname: %v", err)
	}
	k.refused(t, k.c.PQL(t.Context(), "nodes[certname] { nonsense", collect), "PQL parse error")
}

func (k *contract) errors(t *testing.T) {
	ignore := func(puppetdb.Node) error { return nil }
	k.refused(t, k.c.Inventory(t.Context(), []any{"=", "nosuchfield", "x"}, ignore), "'nosuchfield' is not a queryable object")
	k.refused(t, k.c.Inventory(t.Context(), []any{">", "certname", "x"}, ignore), "not allowed on field certname")
	stop := errors.New("enough")
	err := k.c.Reports(t.Context(), k.epoch, k.epoch.Add(time.Second), func(puppetdb.Report) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("the caller's own error came back as %v", err)
	}
}

func (k *contract) refused(t *testing.T, err error, why string) {
	t.Helper()
	var status *puppetdb.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusBadRequest || !strings.Contains(status.Body, why) {
		t.Errorf("error %v, want status 400 with %q", err, why)
	}
}
