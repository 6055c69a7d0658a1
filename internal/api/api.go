// Package api is sluiced's HTTP API below /api/v1/: it shows what the store holds, and carries out people's verbs for those who
// have no token of the store. Package web lets no write reach it without an identity.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/internal/why"
)

// Options of a handler.
type Options struct {
	// Store is what is shown.
	Store func() store.Store
	// Desk is what verbs write to, with the rights of people; nil: there are no verbs.
	Desk func() store.Store
	// Why answers for one node on a track, or on all with ""; nil: it is not asked. What the store does not know of nodes, a leader does.
	Why func(ctx context.Context, snap *tree.Snapshot, certname, track string) (why.View, error)
	Now func() time.Time
	Log zerolog.Logger
}

type handler struct{ Options }

// New makes the handler.
func New(o Options) http.Handler {
	h := &handler{o}
	mux := http.NewServeMux()
	h.show(mux, "rollouts", func(snap *tree.Snapshot, _ *http.Request) (any, string) {
		out := make([]rollout, 0, len(snap.Rollouts))
		for i := range snap.Rollouts {
			out = append(out, rolloutOf(&snap.Rollouts[i]))
		}
		return out, ""
	})
	h.show(mux, "rollouts/{name}", func(snap *tree.Snapshot, r *http.Request) (any, string) {
		found := snap.Rollout(r.PathValue("name"))
		if found == nil {
			return nil, verb.NoRollout(snap, "name", r.PathValue("name")).Error()
		}
		return rolloutOf(found), ""
	})
	h.show(mux, "requests", func(snap *tree.Snapshot, _ *http.Request) (any, string) { return snap.Requests, "" })
	h.show(mux, "requests/{id}", func(snap *tree.Snapshot, r *http.Request) (any, string) {
		found, ok := snap.Requests[r.PathValue("id")]
		if !ok {
			return nil, "no request " + r.PathValue("id") + ": the leader took it up, or it was never made"
		}
		return found, ""
	})
	h.show(mux, "edges", func(snap *tree.Snapshot, _ *http.Request) (any, string) { return snap.Edges, "" })
	h.show(mux, "document", func(snap *tree.Snapshot, _ *http.Request) (any, string) { return snap.Document, "" })
	mux.HandleFunc("GET /api/v1/keys/{key...}", h.keys)
	if o.Why != nil {
		mux.HandleFunc("GET /api/v1/why/{certname}", h.why)
	}
	mux.HandleFunc("POST /api/v1/verbs/{verb}", h.verb)
	return mux
}

// show answers with a part of the store, or with 404 and why there is none.
func (h *handler) show(mux *http.ServeMux, path string, of func(*tree.Snapshot, *http.Request) (any, string)) {
	mux.HandleFunc("GET /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
		snap, err := tree.Read(r.Context(), h.Store())
		if err != nil {
			answer(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
			return
		}
		v, none := of(snap, r)
		if none != "" {
			answer(w, http.StatusNotFound, problem{Error: none})
			return
		}
		answer(w, http.StatusOK, v)
	})
}

func (h *handler) why(w http.ResponseWriter, r *http.Request) {
	snap, err := tree.Read(r.Context(), h.Store())
	if err != nil {
		answer(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
		return
	}
	track := r.URL.Query().Get("track")
	if track != "" && snap.Document.Generation > 0 && snap.Document.Track(track) == nil {
		answer(w, http.StatusNotFound, problem{Error: "no track " + track})
		return
	}
	v, err := h.Why(r.Context(), snap, r.PathValue("certname"), track)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
		return
	}
	answer(w, http.StatusOK, v)
}

type rollout struct {
	Spec   any `json:"spec"`
	State  any `json:"state"`
	Status any `json:"status"`
}

func rolloutOf(r *tree.Rollout) rollout {
	return rollout{Spec: r.Spec, State: r.State, Status: r.Status}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}
