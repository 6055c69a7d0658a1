package analyzer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Canonical returns the evidence as JSON in one fixed form: lists sorted, a report that
// came twice once, times in UTC, values that are no finite numbers left out. It fails
// only on a time that JSON cannot carry (a year beyond 9999).
func (e Evidence) Canonical() ([]byte, error) {
	return encode(e.normalized())
}

func encode(normal Evidence) ([]byte, error) {
	b, err := json.Marshal(normal)
	if err != nil {
		return nil, fmt.Errorf("evidence of stage %q of rollout %q: %w", normal.Stage, normal.Rollout, err)
	}
	return b, nil
}

// digest returns the sha256 of encoded evidence as hex.
func digest(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// normalized returns a copy that no order of the input can change. The input keeps its own.
func (e Evidence) normalized() Evidence {
	e.StageStarted, e.Now, e.Sources.Through = clean(e.StageStarted), clean(e.Now), clean(e.Sources.Through)
	e.Sources.Reasons = slices.Sorted(slices.Values(e.Sources.Reasons))
	e.Nodes = slices.Clone(e.Nodes)
	for i := range e.Nodes {
		e.Nodes[i].AdmittedAt = clean(e.Nodes[i].AdmittedAt)
	}
	slices.SortFunc(e.Nodes, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.Certname, b.Certname), cmp.Compare(a.Stage, b.Stage),
			a.AdmittedAt.Compare(b.AdmittedAt), strings.Compare(a.Stratum, b.Stratum))
	})
	e.Runs = normalRuns(e.Runs)
	e.SLIs = normalSLIs(e.SLIs)
	return e
}

// clean drops the zone and the monotonic reading, which say nothing about the moment.
func clean(t time.Time) time.Time { return t.UTC().Round(0) }

func normalRuns(in []Run) []Run {
	out := make([]Run, len(in))
	for i, r := range in {
		r.Start, r.End, r.Produced, r.Received = clean(r.Start), clean(r.End), clean(r.Produced), clean(r.Received)
		r.Detail = r.Detail.normalized()
		out[i] = r
	}
	slices.SortFunc(out, compareRuns)
	return slices.CompactFunc(out, func(kept, next Run) bool {
		return kept.Certname == next.Certname && kept.at().Equal(next.at()) && kept.Hash == next.Hash
	})
}

// compareRuns orders the runs of a node by time. Of one report in two versions the worse
// comes first and is kept, then the one with more detail.
func compareRuns(a, b Run) int {
	if c := cmp.Or(strings.Compare(a.Certname, b.Certname), a.at().Compare(b.at()), strings.Compare(a.Hash, b.Hash)); c != 0 {
		return c
	}
	if c := cmp.Or(first(a.failed(), b.failed()), first(a.CachedCatalog == cacheOnFailure, b.CachedCatalog == cacheOnFailure),
		first(!a.fresh(), !b.fresh()), first(a.Detail != nil, b.Detail != nil)); c != 0 {
		return c
	}
	return strings.Compare(fingerprint(a), fingerprint(b))
}

// first sorts true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// fingerprint only has to tell two versions of one report apart.
func fingerprint(r Run) string {
	var d Detail
	if r.Detail != nil {
		d = *r.Detail
	}
	r.Detail = nil
	return fmt.Sprintf("%+v %+v", r, d)
}

func (d *Detail) normalized() *Detail {
	if d == nil {
		return nil
	}
	failures := slices.Clone(d.Failures)
	slices.SortFunc(failures, func(a, b Failure) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Resource, b.Resource), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), strings.Compare(a.Message, b.Message))
	})
	return &Detail{Metrics: finite(d.Metrics), Failures: failures}
}

func normalSLIs(in []SLISample) []SLISample {
	out := slices.Clone(in)
	for i, s := range out {
		s.Canary, s.Control = finite(s.Canary), finite(s.Control)
		if s.Aggregate != nil && (math.IsNaN(*s.Aggregate) || math.IsInf(*s.Aggregate, 0)) {
			s.Aggregate = nil
			s.Err = cmp.Or(s.Err, "the aggregate is no finite number")
		}
		out[i] = s
	}
	slices.SortFunc(out, func(a, b SLISample) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(sliFingerprint(a), sliFingerprint(b))
	})
	return out
}

// sliFingerprint orders two samples of one name: they are refused, but always alike.
func sliFingerprint(s SLISample) string {
	aggregate := 0.0
	if s.Aggregate != nil {
		aggregate = *s.Aggregate
	}
	has := s.Aggregate != nil
	s.Aggregate = nil
	return fmt.Sprintf("%+v %v %v", s, has, aggregate)
}

// finite returns a copy without NaN and infinities: they are no data.
func finite(in map[string]float64) map[string]float64 {
	out := maps.Clone(in)
	maps.DeleteFunc(out, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return out
}
