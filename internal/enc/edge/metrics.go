package edge

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/internal/enc"
)

const countersFile = "counters.json"

// counters live longer than one run of accept. They are for graphs only: lost ones begin at 0 again.
type counters struct {
	Refusals map[enc.Reason]float64 `json:"refusals"` // runs of accept that left a rendered document out of force
	Fetches  float64                `json:"fetches"`  // sets read from the store
	Failures float64                `json:"failures"` // sets that could not be read from it
}

// count adds this run to the counters and gives them all.
func (e *Edge) count(s Status, sets *setCache) counters {
	var c counters
	if data, err := os.ReadFile(filepath.Join(e.Config.StateDir, countersFile)); err == nil && json.Unmarshal(data, &c) != nil {
		c = counters{}
	}
	if c.Refusals == nil {
		c.Refusals = map[enc.Reason]float64{}
	}
	if s.Refused != "" {
		c.Refusals[s.Reason]++
	}
	c.Fetches += sets.fetched
	c.Failures += sets.failed
	_ = e.writeJSON(countersFile, c)
	return c
}

// writeMetrics replaces the file as a whole: node_exporter never reads a part of one, and may read it whatever
// umask accept runs with.
func (e *Edge) writeMetrics(s Status, c counters) error {
	return renameio.WriteFile(e.Config.MetricsFile, []byte(s.metrics(c)), 0o644, renameio.WithStaticPermissions(0o644))
}

// exposition writes metrics in Prometheus' text format. The few values here are known to be valid names and
// finite numbers, so a client library, which every lookup over a site's ENC would link too, is left out.
type exposition struct{ strings.Builder }

func (x *exposition) head(name, kind, help string) {
	fmt.Fprintf(x, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (x *exposition) sample(name, label, value string, v float64) {
	if label != "" {
		value = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value)
		name = fmt.Sprintf(`%s{%s="%s"}`, name, label, value)
	}
	x.WriteString(name + " " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

func (x *exposition) gauge(name, help string, v float64) {
	x.head(name, "gauge", help)
	x.sample(name, "", "", v)
}

func (x *exposition) time(name, help string, t time.Time) {
	if !t.IsZero() {
		x.gauge(name, help, float64(t.UnixMilli())/1000)
	}
}

// metrics is the status in the text format, for node_exporter's textfile collector. What does not exist yet (an epoch, the
// age of a document) is absent rather than 0.
func (s Status) metrics(c counters) string {
	var x exposition
	truth := map[bool]float64{true: 1}
	x.gauge("sluice_enc_ready", "Whether this edge accepted a document.", truth[s.Ready])
	if s.Epoch != "" {
		x.head("sluice_enc_epoch_info", "gauge", "Epoch of the installation that this edge obeys.")
		x.sample("sluice_enc_epoch_info", "epoch", s.Epoch, 1)
	}
	x.gauge("sluice_enc_generation", "Generation of the document in force.", float64(s.Generation))
	x.time("sluice_enc_document_written_timestamp_seconds", "When the leader wrote the document in force, by its clock.", s.Written)
	x.time("sluice_enc_document_accepted_timestamp_seconds", "When this edge accepted the document in force.", s.AcceptedAt)
	x.head("sluice_enc_refused", "gauge", "Whether the rendered document is refused, by reason.")
	for _, r := range enc.Reasons {
		x.sample("sluice_enc_refused", "reason", string(r), truth[s.Refused != "" && s.Reason == r])
	}
	x.head("sluice_enc_refusals_total", "counter", "Runs of accept that refused the rendered document, by reason.")
	for _, r := range enc.Reasons {
		x.sample("sluice_enc_refusals_total", "reason", string(r), c.Refusals[r])
	}
	x.gauge("sluice_enc_clamped", "Steps that wait for the speed limit, a stop or a pause.", float64(len(s.Clamped)))
	x.gauge("sluice_enc_allowance_nodes", "Nodes that may still go forward now.", s.Allowance)
	x.gauge("sluice_enc_forced", "Whether a person forced the document in force past the speed limit.", truth[s.Forced])
	x.gauge("sluice_enc_stops", "People's stops in force.", float64(len(s.Stops.Pause)+len(s.Stops.BackOut))+truth[s.Stops.Frozen()])
	x.gauge("sluice_enc_unreadable_flags", "Flags that cannot be read.", float64(len(s.Loud)))
	x.gauge("sluice_enc_local_files", "Local baseline and stop files that are there.", float64(len(s.Local)))
	x.gauge("sluice_enc_sets", "Sets that the document in force names.", float64(s.Sets))
	x.head("sluice_enc_set_fetches_total", "counter", "Sets read from the store, by result.")
	x.sample("sluice_enc_set_fetches_total", "result", "ok", c.Fetches)
	x.sample("sluice_enc_set_fetches_total", "result", "failed", c.Failures)
	s.codeMetrics(&x)
	x.time("sluice_enc_last_accept_timestamp_seconds", "When accept last ran.", s.At)
	return x.String()
}

// codeMetrics counts the environments that the document names by what is known of their code here.
func (s Status) codeMetrics(x *exposition) {
	states := map[string]float64{}
	for _, code := range s.Code {
		switch code {
		case CodeMissing, CodeUnpinned, CodeFailed:
			states[code]++
		default:
			states["pinned"]++
		}
	}
	x.head("sluice_enc_environments", "gauge", "Environments that the document names, by what is known of their code here.")
	for _, state := range []string{"pinned", CodeUnpinned, CodeFailed, CodeMissing} {
		x.sample("sluice_enc_environments", "state", state, states[state])
	}
}
