package puppetdbtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// Inject stores one command in a PuppetDB and returns when its effect is
// visible to queries.
type Inject func(t *testing.T, command string, version int, certname string, payload map[string]any)

// Commands returns an Inject for the PuppetDB at base, an http address without
// a trailing slash.
func Commands(base string) Inject {
	return func(t *testing.T, command string, version int, certname string, payload map[string]any) {
		t.Helper()
		body, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		q := url.Values{"command": {command}, "version": {fmt.Sprint(version)}, "certname": {certname},
			"producer-timestamp": {fmt.Sprint(payload["producer_timestamp"])}, "secondsToWaitForCompletion": {"30"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/pdb/cmd/v1?"+q.Encode(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			TimedOut bool `json:"timed_out"` // also what a discarded payload gets
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || answer.TimedOut {
			t.Fatalf("%s of %s: status %d, %+v, %v", command, certname, resp.StatusCode, answer, err)
		}
	}
}

// Contract checks that the PuppetDB at base behaves as package puppetdb and its
// users rely on. It adds data through inject under certnames of its own, so a
// PuppetDB in use, and one that ran it before, will do.
func Contract(t *testing.T, base string, inject Inject) {
	c, err := puppetdb.New(puppetdb.Config{URL: base, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	k := &contract{
		c: c, inject: inject,
		domain: fmt.Sprintf("c%08x.example.test", rand.Uint32()),
		epoch:  time.Now().UTC().Add(-24*time.Hour - rand.N(24*time.Hour)).Truncate(time.Millisecond),
	}
	t.Run("Status", k.status)
	t.Run("Reports", k.reports)
	t.Run("Identity", k.identity)
	t.Run("Details", k.details)
	t.Run("Inventory", k.inventory)
	t.Run("Nodes", k.nodes)
	t.Run("PQL", k.pql)
	t.Run("Errors", k.errors)
	t.Run("Feed", k.feed)
}

type contract struct {
	c      *puppetdb.Client
	inject Inject
	domain string    // of all certnames of this run
	epoch  time.Time // from which this run's times count
}

func (k *contract) name(host string) string { return host + "." + k.domain }

// payload is a store_report of a healthy run at epoch+offset.
func (k *contract) payload(host string, offset time.Duration) map[string]any {
	at := func(d time.Duration) string { return k.epoch.Add(offset + d).Format(stampMS) }
	return map[string]any{
		"certname": k.name(host), "puppet_version": "7.23.0", "report_format": 12, "configuration_version": "v1",
		"start_time": at(-20 * time.Second), "end_time": at(-time.Second), "producer_timestamp": at(0),
		"producer": "puppet.example.test", "corrective_change": nil, "resources": []any{}, "noop": false, "noop_pending": false,
		"transaction_uuid": nil, "catalog_uuid": "9424c9a6-4102-4a30-87db-dd3d50907c9e", "code_id": nil,
		"cached_catalog_status": "not_used", "metrics": []any{}, "logs": []any{}, "environment": "production", "status": "unchanged",
	}
}

func (k *contract) store(t *testing.T, p map[string]any) {
	t.Helper()
	k.inject(t, "store_report", 8, p["certname"].(string), p)
}

// between returns this run's reports with from <= producer_timestamp < to,
// counted from epoch, without the two fields that the contract cannot know.
func (k *contract) between(t *testing.T, from, to time.Duration) (all []puppetdb.Report) {
	t.Helper()
	err := k.c.Reports(t.Context(), k.epoch.Add(from), k.epoch.Add(to), func(r puppetdb.Report) error {
		if strings.HasSuffix(r.Certname, k.domain) {
			if r.Hash == "" || r.ReceiveTime.IsZero() {
				t.Errorf("report %+v: expected a hash and a receive time", r)
			}
			r.Hash, r.ReceiveTime = "", time.Time{}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b puppetdb.Report) int { return a.ProducerTimestamp.Compare(b.ProducerTimestamp) })
	return all
}

func (k *contract) hashes(t *testing.T, host string) (all []string) {
	t.Helper()
	err := k.c.Reports(t.Context(), k.epoch.Add(-time.Hour), k.epoch.Add(12*time.Hour), func(r puppetdb.Report) error {
		if r.Certname == k.name(host) {
			all = append(all, r.Hash)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (k *contract) status(t *testing.T) {
	v, err := k.c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v != "" && (v[0] < '0' || v[0] > '9') {
		t.Errorf("version %q, expected digits", v)
	}
	got, err := k.c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := puppetdb.Status{State: "running", QueueDepth: 0, ReadUp: true, WriteUp: true}
	if got != want {
		t.Errorf("status %+v, want %+v", got, want)
	}
}

func (k *contract) reports(t *testing.T) {
	k.store(t, k.payload("r1", 0))
	failed := k.payload("r2", 1*time.Millisecond)
	failed["status"], failed["environment"], failed["catalog_uuid"] = "failed", "production_8f3c2d1a", nil
	failed["configuration_version"], failed["code_id"] = "", "8f3c2d1a"
	k.store(t, failed)
	noop := k.payload("r3", 2*time.Millisecond)
	noop["noop"], noop["cached_catalog_status"] = true, "on_failure"
	noop["configuration_version"] = `odd "ver\sion" é ☃` + "\n"
	k.store(t, noop)
	plan := k.payload("r4", time.Millisecond)
	plan["type"] = "plan"
	k.store(t, plan)

	at := func(offset time.Duration) time.Time { return k.epoch.Add(offset) }
	report := func(host string, offset time.Duration) puppetdb.Report {
		return puppetdb.Report{Certname: k.name(host), Environment: "production", Status: "unchanged",
			CachedCatalogStatus: "not_used", CatalogUUID: "9424c9a6-4102-4a30-87db-dd3d50907c9e", ConfigurationVersion: "v1",
			StartTime: at(offset - 20*time.Second), EndTime: at(offset - time.Second), ProducerTimestamp: at(offset)}
	}
	r1, r2, r3 := report("r1", 0), report("r2", time.Millisecond), report("r3", 2*time.Millisecond)
	r2.Status, r2.Environment, r2.CatalogUUID, r2.ConfigurationVersion, r2.CodeID = "failed", "production_8f3c2d1a", "", "", "8f3c2d1a"
	r3.Noop, r3.CachedCatalogStatus, r3.ConfigurationVersion = true, "on_failure", noop["configuration_version"].(string)
	for _, tc := range []struct {
		from, to time.Duration
		want     []puppetdb.Report
	}{
		{0, 3 * time.Millisecond, []puppetdb.Report{r1, r2, r3}},
		{0, 2 * time.Millisecond, []puppetdb.Report{r1, r2}}, // from is inside, to is not
		{time.Millisecond, 2 * time.Millisecond, []puppetdb.Report{r2}},
		{3 * time.Millisecond, 4 * time.Millisecond, nil},
	} {
		if diff := cmp.Diff(tc.want, k.between(t, tc.from, tc.to)); diff != "" {
			t.Errorf("reports from %s to %s (-want +got):\n%s", tc.from, tc.to, diff)
		}
	}
}

func (k *contract) identity(t *testing.T) {
	p := k.payload("twice", time.Hour)
	k.store(t, p)
	k.store(t, p)
	p["status"] = "failed" // not part of the identity: the first one stays
	k.store(t, p)
	got := k.between(t, time.Hour, time.Hour+time.Millisecond)
	if len(got) != 1 || got[0].Status != "unchanged" {
		t.Errorf("three reports of one identity are seen as %+v, want the first one", got)
	}
}

func (k *contract) details(t *testing.T) {
	p := k.payload("d1", 2*time.Hour)
	p["metrics"] = []any{map[string]any{"category": "time", "name": "config_retrieval", "value": 1.25}}
	p["logs"] = []any{map[string]any{"level": "err", "message": "a <b> & \"c\"", "source": "Puppet", "file": nil, "line": nil,
		"tags": []any{"err"}, "time": k.epoch.Format(stampMS)}}
	p["resources"] = []any{map[string]any{"skipped": false, "timestamp": k.epoch.Format(stampMS), "resource_type": "Exec",
		"resource_title": "/bin/false", "file": "/site.pp", "line": 6, "containment_path": []any{"Stage[main]"}, "corrective_change": false,
		"events": []any{map[string]any{"status": "failure", "corrective_change": false, "timestamp": k.epoch.Format(stampMS),
			"property": "returns", "new_value": "0", "old_value": "notrun", "message": "change failed"}}}}
	k.store(t, p)
	k.store(t, k.payload("d2", 2*time.Hour))
	full, empty := k.hashes(t, "d1"), k.hashes(t, "d2")
	if len(full) != 1 || len(empty) != 1 {
		t.Fatalf("hashes %v and %v, want one each", full, empty)
	}
	ask := append(full, empty...)
	for i := range 120 { // more than fit into one query, none of them known
		ask = append(ask, fmt.Sprintf("%040x", i))
	}
	got, err := k.c.Details(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]puppetdb.Detail{empty[0]: {}, full[0]: {
		Metrics: []puppetdb.Metric{{Category: "time", Name: "config_retrieval", Value: 1.25}},
		Logs:    []puppetdb.Log{{Level: "err", Message: "a <b> & \"c\"", Source: "Puppet", Tags: []string{"err"}, Time: k.epoch}},
		Events: []puppetdb.Event{{Status: "failure", ResourceType: "Exec", ResourceTitle: "/bin/false", Property: "returns",
			Message: "change failed", File: "/site.pp", Line: 6, Timestamp: k.epoch}},
	}}
	nilEmpty := cmp.Transformer("nil", func(d puppetdb.Detail) puppetdb.Detail {
		if len(d.Metrics) == 0 && len(d.Logs) == 0 && len(d.Events) == 0 {
			return puppetdb.Detail{}
		}
		return d
	})
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return len(p) == 2 }, nilEmpty)); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

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

func (k *contract) feed(t *testing.T) {
	start := k.epoch.Add(8 * time.Hour)
	f, err := puppetdb.NewFeed(k.c, start, puppetdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	poll := func(after time.Duration) (hosts []string, late int) {
		t.Helper()
		b, err := f.Poll(t.Context(), start.Add(after))
		if err = errors.Join(err, b.Incomplete); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Reports {
			if host, ours := strings.CutSuffix(r.Certname, "."+k.domain); ours {
				hosts = append(hosts, host)
			}
		}
		return hosts, b.Late
	}
	k.store(t, k.payload("f2", 8*time.Hour+2*time.Minute))
	k.store(t, k.payload("f1", 8*time.Hour+time.Minute))
	k.store(t, k.payload("f3", 8*time.Hour+10*time.Minute)) // a clock ahead of ours
	if got, _ := poll(3 * time.Minute); !slices.Equal(got, []string{"f1", "f2", "f3"}) {
		t.Errorf("first poll: %v", got)
	}
	if got, _ := poll(40 * time.Minute); len(got) != 0 {
		t.Errorf("second poll: %v again", got)
	}
	k.store(t, k.payload("f4", 8*time.Hour+5*time.Minute)) // visible an hour late
	if got, late := poll(70 * time.Minute); !slices.Equal(got, []string{"f4"}) || late < 1 {
		t.Errorf("late report: %v, %d late", got, late)
	}
	if got, _ := poll(7 * time.Hour); len(got) != 0 {
		t.Errorf("last poll: %v again", got)
	}
}
