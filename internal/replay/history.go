package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// History is reports by the time of their receipt.
type History struct {
	Names      []string // certnames; a run's node is an index of it
	runs       []run
	ids        map[string]int32
	hashes     map[string]bool
	unmeasured map[int32]bool // nodes with healthy runs without metrics
	// Duplicates were left out: reports with the hash of one that was there.
	Duplicates int
	// Unclear have no receive_time: they count as received when they were produced.
	Unclear int
}

type run struct {
	analyzer.Run
	node       int32
	troubled   bool // to be kept as a whole
	producedMS int64
	metrics    metrics
}

// metrics are those that the judge compares.
type metrics struct {
	known      bool
	retrieval  float64 // seconds until the catalog came, 0 where it did not
	corrective bool
}

// NewHistory is empty.
func NewHistory() *History {
	return &History{ids: map[string]int32{}, hashes: map[string]bool{}, unmeasured: map[int32]bool{}}
}

// node numbers a certname.
func (h *History) node(certname string) int32 {
	id, ok := h.ids[certname]
	if !ok {
		id = int32(len(h.Names))
		certname = strings.Clone(certname)
		h.ids[certname] = id
		h.Names = append(h.Names, certname)
	}
	return id
}

// Reports is how many there are.
func (h *History) Reports() int { return len(h.runs) }

// Failed lists the hashes of runs whose detail is needed and not there.
func (h *History) Failed() (out []string) {
	for i := range h.runs {
		if r := &h.runs[i]; failed(&r.Run) && r.Detail == nil {
			out = append(out, r.Hash)
		}
	}
	return out
}

// Add notes one report without metrics, in any order.
func (h *History) Add(r analyzer.Run) { h.add(r, metrics{}) }

func (h *History) add(r analyzer.Run, m metrics) {
	if h.hashes[r.Hash] {
		h.Duplicates++
		return
	}
	r.Hash = strings.Clone(r.Hash)
	h.hashes[r.Hash] = true
	id := h.node(r.Certname)
	r.Certname = h.Names[id]
	if r.CatalogUUID != "" {
		r.CatalogUUID = "recorded" // only whether there was one matters
	}
	if r.Received.IsZero() {
		r.Received = r.Produced
		h.Unclear++
	}
	if !m.known && !failed(&r) {
		h.unmeasured[id] = true
	}
	h.runs = append(h.runs, run{Run: r, node: id, troubled: failed(&r), producedMS: r.Produced.UnixMilli(), metrics: m})
}

// Detail says how a run failed that was added without.
func (h *History) Detail(find func(hash string) *analyzer.Detail) {
	for i := range h.runs {
		if r := &h.runs[i]; r.Detail == nil && failed(&r.Run) {
			r.Detail = find(r.Hash)
		}
	}
}

// Sort puts the reports in order once all are there.
func (h *History) Sort() {
	h.hashes = nil
	slices.SortFunc(h.runs, func(a, b run) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.producedMS, b.producedMS), strings.Compare(a.Hash, b.Hash))
	})
}

// Span is when the first and the last report were received.
func (h *History) Span() (from, to time.Time) {
	if len(h.runs) == 0 {
		return from, to
	}
	return h.runs[0].Received, h.runs[len(h.runs)-1].Received
}

// ran is an error if no report has the environment: a name that is mistyped would look like a change that nobody got.
func (h *History) ran(environment string) error {
	seen := map[string]bool{}
	for i := range h.runs {
		seen[h.runs[i].Environment] = true
	}
	if environment == "" || seen[environment] {
		return nil
	}
	names := slices.Sorted(maps.Keys(seen))
	if more := len(names) - 10; more > 0 {
		names = append(names[:10], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("no report has the environment %s, expected one of: %s", environment, strings.Join(names, ", "))
}

// Everyone is all nodes that reported, as controls: for a placebo without assignments.
func (h *History) Everyone() *Assignments {
	a := &Assignments{}
	for _, name := range h.Names {
		a.Nodes = append(a.Nodes, Assigned{Certname: name})
	}
	a.sort()
	return a
}

// until is the number of reports received by a time.
func (h *History) until(t time.Time) int {
	i, _ := slices.BinarySearchFunc(h.runs, t, func(r run, t time.Time) int {
		if r.Received.After(t) {
			return 1
		}
		return -1
	})
	return i
}

func failed(r *analyzer.Run) bool { return r.Status == "failed" || r.CachedCatalog == "on_failure" }
