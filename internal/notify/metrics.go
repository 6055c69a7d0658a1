package notify

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Why an event was dropped: values of the label "reason".
const (
	dropFull      = "full"      // the lane's queue was full
	dropRefused   = "refused"   // the receiver refused it for good
	dropExhausted = "exhausted" // no attempt succeeded in time
	dropClosed    = "closed"    // the queue was closed before it was told
	dropInvalid   = "invalid"   // the event failed its check
)

var dropReasons = []string{dropFull, dropRefused, dropExhausted, dropClosed, dropInvalid}

type metrics struct {
	delivered   *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	failures    *prometheus.CounterVec
	length      *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec
}

// newMetrics registers the metrics, or takes up those that an earlier queue
// left on reg: a reload makes a new queue and must not reset counters.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Subsystem: "notify", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sluice", Subsystem: "notify", Name: name, Help: help}, []string{"notifier"})
	}
	var m metrics
	err := errors.Join(
		register(reg, &m.delivered, counter("delivered_total", "Events that the receiver took.", "notifier")),
		register(reg, &m.dropped, counter("dropped_total", "Events that were never delivered, by reason.", "notifier", "reason")),
		register(reg, &m.failures, counter("attempt_failures_total", "Attempts that failed, retried or not.", "notifier")),
		register(reg, &m.length, gauge("queue_length", "Events that wait, the one being told included.")),
		register(reg, &m.lastSuccess, gauge("last_success_timestamp_seconds", "When the receiver last took an event.")),
	)
	return &m, err
}

func register[C prometheus.Collector](reg prometheus.Registerer, into *C, c C) error {
	*into = c
	err := reg.Register(c)
	old, dup := errors.AsType[prometheus.AlreadyRegisteredError](err)
	if !dup {
		return err
	}
	existing, ok := old.ExistingCollector.(C)
	if !ok {
		return fmt.Errorf("metric is registered as a %T: %w", old.ExistingCollector, err)
	}
	*into = existing
	return nil
}

// show makes every series exist, at 0, so that a rate over them sees the first event.
func (m *metrics) show(notifier string) {
	m.delivered.WithLabelValues(notifier)
	m.failures.WithLabelValues(notifier)
	m.length.WithLabelValues(notifier)
	m.lastSuccess.WithLabelValues(notifier)
	for _, reason := range dropReasons {
		m.dropped.WithLabelValues(notifier, reason)
	}
}
