package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
)

// hook is a receiver of webhooks that notes what it was told.
type hook struct {
	mu   sync.Mutex
	told []string
	url  string
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, r.Header.Get("Idempotency-Key"))
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

func (h *hook) heard() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, " ")
}

const goodStory = "ntp/rollout_started ntp/canary/stage_started ntp/canary/stage_ended ntp/fra1/stage_started ntp/fra1/stage_ended " +
	"ntp/everyone/stage_started ntp/everyone/stage_ended ntp/everyone/settling ntp/everyone/completed"

// TestNotifiedOnce: people's systems hear of every step once and in order, also where one leader follows another.
func TestNotifiedOnce(t *testing.T) {
	for name, failovers := range map[string]bool{"one leader": false, "a leader per tick": true} {
		t.Run(name, func(t *testing.T) {
			h := newHook(t)
			l := newLab(t, 6)
			l.extra = fmt.Sprintf("webhooks: [{url: %q}]\n", h.url)
			l.lead()
			l.start("ntp", "production_2")
			for range 144 {
				if l.state("ntp").Phase.Ended() {
					break
				}
				l.tick()
				if failovers {
					l.l.site.close(t.Context()) // tells what it still has to tell
					l.failover()
				}
			}
			l.l.site.close(t.Context())
			if got := h.heard(); got != goodStory {
				t.Errorf("heard %s\nwant  %s", got, goodStory)
			}
		})
	}
}

// TestNotifiedAfterACrash: a leader that dies before it has noted what it told leaves it to the next one to tell it again,
// under the same name, by which receivers know it.
func TestNotifiedAfterACrash(t *testing.T) {
	h := newHook(t)
	l := newLab(t, 6)
	l.extra = fmt.Sprintf("webhooks: [{url: %q}]\n", h.url)
	l.lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.l.site.close(t.Context())
	l.remove("audit/notified")
	l.failover()
	l.until("ntp", gate.Completed)
	l.l.site.close(t.Context())
	heard := strings.Fields(h.heard())
	slices.Sort(heard)
	want := strings.Fields(goodStory)
	slices.Sort(want)
	if got := slices.Compact(slices.Clone(heard)); !slices.Equal(got, want) {
		t.Errorf("heard %s", heard)
	}
	if len(heard) != len(want)+2 {
		t.Errorf("%d told, want the two of before once more: %s", len(heard), heard)
	}
}
