package puppetdbtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

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
	t.Run("Measured", k.measured)
	t.Run("Inventory", k.inventory)
	t.Run("Projection", k.projection)
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
