package pdbserver

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// reportKeys must all be in a store_report payload.
var reportKeys = strings.Fields(`certname puppet_version report_format configuration_version start_time end_time
	producer_timestamp producer corrective_change resources noop noop_pending transaction_uuid catalog_uuid code_id
	cached_catalog_status metrics logs environment status`)

// command accepts any command with 200, as PuppetDB does, and stores those it
// understands. A payload that lacks a key vanishes, as it does there.
func (s *Server) command(w http.ResponseWriter, r *http.Request, body []byte) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		http.Error(w, "content type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	v, err := parse(body)
	payload, ok := v.(map[string]any)
	if err != nil || !ok {
		http.Error(w, "malformed payload", http.StatusBadRequest)
		return
	}
	q := r.URL.Query()
	s.locked(func() {
		switch q.Get("command") + " " + q.Get("version") {
		case "store_report 8":
			s.data.storeReport(payload)
		case "replace_facts 5":
			s.data.replaceFacts(payload)
		case "deactivate_node 3":
			s.data.deactivate(payload)
		}
		write(w, http.StatusOK, map[string]any{"uuid": fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.asked))})
	})
}

func (d *data) storeReport(p map[string]any) {
	for _, k := range reportKeys {
		if _, ok := p[k]; !ok {
			return
		}
	}
	r := row{"type": "agent", "job_id": nil, "receive_time": time.Now().UTC().Format(stampMS)}
	for k, v := range p {
		r[k] = v
	}
	for _, k := range []string{"start_time", "end_time", "producer_timestamp"} {
		t, err := time.Parse(time.RFC3339, fmt.Sprint(p[k]))
		if err != nil {
			return
		}
		r[k] = t.UTC().Format(stampMS)
	}
	r["metrics"], r["logs"] = map[string]any{"data": p["metrics"]}, map[string]any{"data": p["logs"]}
	r["resource_events"] = map[string]any{"data": events(p["resources"])}
	r["corrective_change"] = nil // Puppet Enterprise keeps it, others do not
	delete(r, "resources")
	r["hash"] = identity(r)
	d.addReport(r)
}

// events flattens resources into their events; none is null, not empty.
func events(resources any) any {
	var all []any
	list, _ := resources.([]any)
	for _, v := range list {
		res, _ := v.(map[string]any)
		inner, _ := res["events"].([]any)
		for _, w := range inner {
			ev, ok := w.(map[string]any)
			if !ok {
				continue
			}
			out := map[string]any{}
			for k, x := range ev {
				out[k] = x
			}
			for _, k := range []string{"resource_type", "resource_title", "file", "line", "containment_path"} {
				out[k] = res[k]
			}
			all = append(all, out)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

func (d *data) replaceFacts(p map[string]any) {
	certname, ok := p["certname"].(string)
	values, isTree := p["values"].(map[string]any)
	if !ok || !isTree {
		return
	}
	n := d.node(certname)
	n.environment, n.facts, n.trusted = p["environment"], values, values["trusted"]
	n.factsTime = time.Now().UTC().Format(stampMS)
}

func (d *data) deactivate(p map[string]any) {
	if certname, ok := p["certname"].(string); ok {
		d.node(certname).deactivated = p["producer_timestamp"]
	}
}
