package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/internal/config"
)

// TestENCAnswersOutliveAnEnd: an asking that was cut off says nothing of who has left the fleet, so no answer is forgotten by it.
func TestENCAnswersOutliveAnEnd(t *testing.T) {
	e := newENCData(&config.ENC{Command: "/bin/false", Timeout: model.Duration(time.Second), Concurrency: 1, Refresh: model.Duration(time.Minute)})
	e.said["n01"] = encAnswer{at: t0, known: true}
	e.said["gone"] = encAnswer{at: t0, known: true}
	ended, end := context.WithCancel(t.Context())
	end()
	e.refresh(ended, []string{"n01"}, t0.Add(time.Hour))
	if !e.get("n01").known || !e.get("gone").known {
		t.Errorf("after one that was cut off: %+v", e.said)
	}
	e.refresh(t.Context(), []string{"n01"}, t0.Add(time.Hour))
	if a := e.get("n01"); !a.known || a.err == nil || e.get("gone").known {
		t.Errorf("after one that failed for who is there: %+v", e.said)
	}
}
