package daemon

import (
	"encoding/json"
	"net/http"

	"github.com/openinfrastructure/sluice/internal/tree"
)

// api answers what `sluice` reads from the store, for those who have no token of it: rollouts with spec, state and status.
// It writes nothing.
func (d *Daemon) api() http.Handler {
	mux := http.NewServeMux()
	read := func(w http.ResponseWriter, r *http.Request) *tree.Snapshot {
		snap, err := tree.Read(r.Context(), d.store)
		if err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
			return nil
		}
		return snap
	}
	mux.HandleFunc("GET /api/v1/rollouts", func(w http.ResponseWriter, r *http.Request) {
		if snap := read(w, r); snap != nil {
			out := make([]rolloutJSON, 0, len(snap.Rollouts))
			for i := range snap.Rollouts {
				out = append(out, toJSON(&snap.Rollouts[i]))
			}
			answer(w, http.StatusOK, out)
		}
	})
	mux.HandleFunc("GET /api/v1/rollouts/{name}", func(w http.ResponseWriter, r *http.Request) {
		if snap := read(w, r); snap != nil {
			if found := snap.Rollout(r.PathValue("name")); found != nil {
				answer(w, http.StatusOK, toJSON(found))
				return
			}
			answer(w, http.StatusNotFound, map[string]string{"error": "no rollout " + r.PathValue("name")})
		}
	})
	mux.HandleFunc("GET /api/v1/edges", func(w http.ResponseWriter, r *http.Request) {
		if snap := read(w, r); snap != nil {
			answer(w, http.StatusOK, snap.Edges)
		}
	})
	mux.HandleFunc("GET /api/v1/document", func(w http.ResponseWriter, r *http.Request) {
		if snap := read(w, r); snap != nil {
			answer(w, http.StatusOK, snap.Document)
		}
	})
	return mux
}

type rolloutJSON struct {
	Spec   any `json:"spec"`
	State  any `json:"state"`
	Status any `json:"status"`
}

func toJSON(r *tree.Rollout) rolloutJSON {
	return rolloutJSON{Spec: r.Spec, State: r.State, Status: r.Status}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}
