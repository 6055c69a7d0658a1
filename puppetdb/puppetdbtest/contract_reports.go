package puppetdbtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openinfrastructure/sluice/puppetdb"
)

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
		seen := 0
		read := k.c.Reports(t.Context(), at(tc.from), at(tc.to), func(puppetdb.Report) error { seen++; return nil }) // others' too
		n, err := k.c.Count(t.Context(), at(tc.from), at(tc.to))
		if err = errors.Join(err, read); err != nil || n != seen || n < len(tc.want) {
			t.Errorf("%d reports from %s to %s are counted, %d are read: %v", n, tc.from, tc.to, seen, err)
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

// measured: reports of some nodes in a range with their metrics, and those without any.
func (k *contract) measured(t *testing.T) {
	at := 5 * time.Hour
	for host, after := range map[string]time.Duration{"m1": 0, "m2": time.Minute, "m3": time.Minute, "m4": 2 * time.Minute} {
		p := k.payload(host, at+after)
		if host != "m2" {
			p["metrics"] = []any{map[string]any{"category": "time", "name": "config_retrieval", "value": 1.25}, map[string]any{"category": "resources", "name": "corrective_change", "value": 1}}
		}
		k.store(t, p)
	}
	got := map[string]int{}
	err := k.c.Measured(t.Context(), []string{"m1." + k.domain, "m2." + k.domain, "m4." + k.domain, "m2." + k.domain, "unheard-of." + k.domain}, k.epoch.Add(at), k.epoch.Add(at+2*time.Minute),
		func(r puppetdb.Report, m []puppetdb.Metric) error {
			if r.Hash == "" || r.Status != "unchanged" || len(m) > 0 && (len(m) != 2 || m[0].Value+m[1].Value != 2.25) {
				t.Errorf("%+v %+v", r, m)
			}
			got[r.Certname] += 1 + len(m)
			return nil
		})
	if want := map[string]int{"m1." + k.domain: 3, "m2." + k.domain: 1}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, want %v: m4 is beyond the range, m3 was not asked for", err, got, want)
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
