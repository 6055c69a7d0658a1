package fleetsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// stamp is how PuppetDB and puppetserver write times.
const stamp = "2006-01-02T15:04:05.000Z"

// Sender stores simulated nodes in a real PuppetDB, by the commands that a puppetserver sends.
type Sender struct {
	URL    string // http address, without a trailing slash
	Client *http.Client
}

// Facts sends the facts of every node that is there at a time.
func (t Sender) Facts(ctx context.Context, s *Sim, at time.Time) error {
	for i := range s.nodes {
		if !s.here(i, at) {
			continue
		}
		values := s.fleet.facts(i)
		values["trusted"] = s.fleet.trusted(i)
		last, _ := s.snapshot(i)
		if err := t.send(ctx, "replace_facts", 5, s.fleet.certname(i), map[string]any{
			"certname": s.fleet.certname(i), "environment": s.envs[last.env], "producer_timestamp": at.UTC().Format(stamp),
			"producer": "puppet.example.test", "values": values, "package_inventory": []any{},
		}); err != nil {
			return err
		}
	}
	return nil
}

// Reports sends the reports produced in a range and returns how many.
func (t Sender) Reports(ctx context.Context, s *Sim, from, to time.Time) (n int, err error) {
	for _, r := range s.between(from, to) {
		if err := t.send(ctx, "store_report", 8, s.fleet.certname(int(r.node)), s.payload(r)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// payload is a store_report command, version 8.
func (s *Sim) payload(r record) map[string]any {
	rep, d := s.report(r), s.detail(r)
	logs := make([]any, 0, len(d.Logs))
	for _, l := range d.Logs {
		logs = append(logs, map[string]any{"level": l.Level, "message": l.Message, "source": l.Source, "file": orNil(l.File), "line": orNil(l.Line),
			"tags": l.Tags, "time": l.Time.Format(stamp)})
	}
	resources := make([]any, 0, len(d.Events))
	for _, e := range d.Events {
		resources = append(resources, map[string]any{"skipped": false, "timestamp": e.Timestamp.Format(stamp), "resource_type": e.ResourceType,
			"resource_title": e.ResourceTitle, "file": orNil(e.File), "line": orNil(e.Line), "containment_path": []any{"Stage[main]"}, "corrective_change": false,
			"events": []any{map[string]any{"status": e.Status, "corrective_change": false, "timestamp": e.Timestamp.Format(stamp), "property": e.Property,
				"new_value": "running", "old_value": "stopped", "message": e.Message}}})
	}
	return map[string]any{
		"certname": rep.Certname, "puppet_version": "7.23.0", "report_format": 12, "configuration_version": rep.ConfigurationVersion,
		"start_time": rep.StartTime.Format(stamp), "end_time": rep.EndTime.Format(stamp), "producer_timestamp": rep.ProducerTimestamp.Format(stamp),
		"producer": "puppet.example.test", "corrective_change": nil, "resources": resources, "noop": rep.Noop, "noop_pending": false,
		"transaction_uuid": nil, "catalog_uuid": orNil(rep.CatalogUUID), "code_id": nil, "cached_catalog_status": rep.CachedCatalogStatus,
		"metrics": metricsOf(d), "logs": logs, "environment": rep.Environment, "status": rep.Status,
	}
}

func metricsOf(d puppetdb.Detail) []any {
	out := make([]any, 0, len(d.Metrics))
	for _, m := range d.Metrics {
		out = append(out, m)
	}
	return out
}

// orNil writes the zero value as null.
func orNil[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

func (t Sender) send(ctx context.Context, command string, version int, certname string, payload map[string]any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	q := url.Values{"command": {command}, "version": {fmt.Sprint(version)}, "certname": {certname},
		"producer-timestamp": {fmt.Sprint(payload["producer_timestamp"])}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"/pdb/cmd/v1?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := t.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", command, certname, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: status %d, %s, %v", command, certname, resp.StatusCode, strings.TrimSpace(string(answer)), err)
	}
	return nil
}

// Deactivate takes a node out of what is active.
func (t Sender) Deactivate(ctx context.Context, certname string) error {
	return t.send(ctx, "deactivate_node", 3, certname, map[string]any{"certname": certname, "producer_timestamp": time.Now().UTC().Format(stamp)})
}
