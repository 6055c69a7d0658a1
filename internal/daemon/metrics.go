package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// metrics is what sluiced says of itself. Labels are rollouts, tracks and gates; never nodes.
type metrics struct {
	leader      prometheus.Gauge
	looks       prometheus.Counter
	lookErrors  prometheus.Counter
	lookSeconds prometheus.Histogram
	generation  prometheus.Gauge
	edges       *prometheus.GaugeVec
	fresh       prometheus.Gauge
	through     prometheus.Gauge
	phase       *prometheus.GaugeVec
	stage       *prometheus.GaugeVec
	nodes       *prometheus.GaugeVec
	gates       *prometheus.GaugeVec
	transitions *prometheus.CounterVec
	trackNodes  *prometheus.GaugeVec
	waiting     *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_" + name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_" + name, Help: help}, labels)
	}
	m := &metrics{
		leader:      gauge("leader", "Whether this process is the leader."),
		looks:       prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_looks_total", Help: "Looks at everything."}),
		lookErrors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_look_errors_total", Help: "Looks that failed; nothing goes forward by them."}),
		lookSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_look_duration_seconds", Help: "Time of one look.", Buckets: prometheus.ExponentialBuckets(.005, 2, 14)}),
		generation:  gauge("document_generation", "Generation of the document in force."),
		edges:       vec("edges", "Puppetservers by whether they count as live.", "state"),
		fresh:       gauge("sources_fresh", "Whether reports and nodes are read completely and recently."),
		through:     gauge("reports_through_timestamp_seconds", "Reports are complete through this time."),
		phase:       vec("rollout_phase", "1 for the phase that a rollout is in.", "rollout", "track", "phase"),
		stage:       vec("rollout_stage", "Index of the current stage, -1 before the first.", "rollout", "track"),
		nodes:       vec("rollout_nodes", "Nodes of a rollout by what is known of them.", "rollout", "track", "state"),
		gates:       vec("gate_open", "1 for an open gate, 0 for a closed one.", "rollout", "gate"),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_transitions_total", Help: "What rollouts did, by kind."}, []string{"kind"}),
		trackNodes:  vec("track_nodes", "Nodes on a track.", "track"),
		waiting:     vec("track_waiting_nodes", "New nodes that wait to be listed among a track's.", "track"),
	}
	reg.MustRegister(m.leader, m.looks, m.lookErrors, m.lookSeconds, m.generation, m.edges, m.fresh, m.through, m.phase, m.stage, m.nodes, m.gates, m.transitions, m.trackNodes, m.waiting)
	return m
}

func (m *metrics) look(took time.Duration, err error) {
	m.looks.Inc()
	m.lookSeconds.Observe(took.Seconds())
	if err != nil {
		m.lookErrors.Inc()
	}
}

func (m *metrics) world(w gate.World, d gate.Decision, doc segments.Document) {
	truth := map[bool]float64{true: 1}
	m.generation.Set(float64(doc.Generation))
	m.fresh.Set(truth[w.Sources.Fresh])
	if !w.Sources.Through.IsZero() {
		m.through.Set(float64(w.Sources.Through.Unix()))
	}
	live := 0
	for _, e := range w.Edges {
		if w.Now.Sub(e.At) <= w.EdgeRule.Live {
			live++
		}
	}
	m.edges.WithLabelValues("live").Set(float64(live))
	m.edges.WithLabelValues("gone").Set(float64(len(w.Edges) - live))
	for _, t := range w.Tracks {
		m.trackNodes.WithLabelValues(t.Name).Set(float64(t.Nodes))
	}
	m.phase.Reset()
	m.stage.Reset()
	m.nodes.Reset()
	m.gates.Reset()
	for i := range w.Rollouts {
		m.rollout(&w.Rollouts[i], d)
	}
	for _, e := range d.Events {
		m.transitions.WithLabelValues(e.Kind).Inc()
	}
}

func (m *metrics) rollout(r *gate.Rollout, d gate.Decision) {
	name, track, state := r.Spec.Name, r.Spec.Track, r.State
	if next, ok := d.States[name]; ok {
		state = next
	}
	m.phase.WithLabelValues(name, track, state.Phase.String()).Set(1)
	if state.Phase.Ended() {
		return
	}
	m.stage.WithLabelValues(name, track).Set(float64(state.Current()))
	c := r.Verdict.Counts
	for what, n := range map[string]int{"admitted": c.Admitted, "live": c.Live, "exposed": c.Exposed, "silent": c.Silent, "failed": c.Failed + c.CompileFailed + c.Hidden, "control": c.Control} {
		m.nodes.WithLabelValues(name, track, what).Set(float64(n))
	}
	for _, g := range d.Gates[name] {
		v := 0.0
		if g.Open {
			v = 1
		}
		m.gates.WithLabelValues(name, g.Name).Set(v)
	}
}
