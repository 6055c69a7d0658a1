package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/openinfrastructure/sluice/internal/store"
)

// keys are entries of the store as they are, at an index that is never 0.
type keys struct {
	Index   uint64  `json:"index"`
	Entries []entry `json:"entries"`
}

// entry is a store.Entry; the value is base64, as Consul has it.
type entry struct {
	Key     string `json:"key"`
	Value   []byte `json:"value"`
	Version uint64 `json:"version"`
}

// keys shows one key, or all below a path that ends in a slash, for the command line of those who cannot ask the store. A key that
// is not there is no entry: a 404 would be what any other server says as well. Sets are large, and are read key by key.
func (h *handler) keys(w http.ResponseWriter, r *http.Request) {
	path, s := r.PathValue("key"), h.Store()
	out := keys{Index: 1, Entries: []entry{}}
	var err error
	switch prefix, isPrefix := strings.CutSuffix(path, "/"); {
	case path == "" || path == "enc/" || isPrefix && strings.HasPrefix(prefix, "enc/sets"):
		answer(w, http.StatusBadRequest, problem{Error: "expected one key, or the keys below a path other than enc/"})
		return
	case isPrefix:
		var all []store.Entry
		all, out.Index, err = s.List(r.Context(), path)
		for _, e := range all {
			out.Entries = append(out.Entries, entry(e))
		}
	default:
		var e store.Entry
		if e, err = s.Get(r.Context(), path); err == nil {
			out.Entries = append(out.Entries, entry(e))
		}
	}
	switch {
	case errors.Is(err, store.ErrInvalid):
		answer(w, http.StatusBadRequest, problem{Error: err.Error()})
	case err != nil && !errors.Is(err, store.ErrNotFound):
		answer(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
	default:
		answer(w, http.StatusOK, out)
	}
}
