package analyzer

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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
	var b bytes.Buffer
	_, err := e.WriteCanonical(&b)
	return b.Bytes(), err
}

// WriteCanonical writes what Canonical returns, without having all of it in memory, and
// returns its digest, the sha256 in hex. A nil writer only wants the digest.
func (e Evidence) WriteCanonical(w io.Writer) (digest string, err error) {
	hash := sha256.New()
	out := io.Writer(hash)
	if w != nil {
		out = io.MultiWriter(hash, w)
	}
	buffered := bufio.NewWriterSize(out, 1<<16)
	if err := e.normalized().encode(buffered); err != nil {
		return "", fmt.Errorf("evidence of stage %q of rollout %q: %w", e.Stage, e.Rollout, err)
	}
	if err := buffered.Flush(); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// encode writes the same bytes as json.Marshal would, the long lists one element after the other.
func (e Evidence) encode(w *bufio.Writer) error {
	nodes, runs := e.Nodes, e.Runs
	e.Nodes, e.Runs = nil, nil
	rest, err := json.Marshal(e)
	if err != nil {
		return err
	}
	// Both lists stand before the SLIs, the looks and the sources, the first of them that there is.
	at := bytes.Index(rest, []byte(`,"sources":`))
	for _, next := range []string{`,"looks":`, `,"slis":`} {
		if i := bytes.Index(rest, []byte(next)); i >= 0 && i < at {
			at = i
		}
	}
	_, _ = w.Write(rest[:at]) // a bufio.Writer remembers its error until Flush
	if err := writeList(w, "nodes", nodes); err != nil {
		return err
	}
	if err := writeList(w, "runs", runs); err != nil {
		return err
	}
	_, _ = w.Write(rest[at:])
	return nil
}

func writeList[T any](w *bufio.Writer, name string, list []T) error {
	if len(list) == 0 {
		return nil
	}
	_, _ = w.WriteString(`,"` + name + `":[`)
	for i := range list {
		b, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(b)
	}
	return w.WriteByte(']')
}

// normalized returns a copy that no order of the input can change. The input keeps its own.
func (e Evidence) normalized() Evidence {
	e.StageStarted, e.Now, e.Sources.Through = clean(e.StageStarted), clean(e.Now), clean(e.Sources.Through)
	e.Sources.Reasons = slices.Sorted(slices.Values(e.Sources.Reasons))
	e.Nodes = normalNodes(e.Nodes)
	e.Runs = normalRuns(e.Runs)
	e.SLIs = normalSLIs(e.SLIs)
	e.Looks = normalLooks(e.Looks)
	return e
}

// normalNodes sorts a copy. What is in order already, as at every look of a daemon, is taken as it is: nothing writes to it.
func normalNodes(in []Node) []Node {
	inOrder := true
	for i := range in {
		if i > 0 && in[i-1].Certname >= in[i].Certname {
			inOrder = false
			break
		}
	}
	if inOrder {
		return in
	}
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.Certname, b.Certname), cmp.Compare(a.Stage, b.Stage),
			cmp.Compare(a.AdmittedAt, b.AdmittedAt), strings.Compare(a.Stratum, b.Stratum))
	})
	return out
}

// clean drops the zone and the monotonic reading, which say nothing about the moment.
func clean(t time.Time) time.Time { return t.UTC().Round(0) }

// normalRuns sorts a copy. What is in order already is taken as it is, as normalNodes does.
func normalRuns(in []Run) []Run {
	if runsInOrder(in) {
		return in
	}
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

// runsInOrder: sorted, each run once, and nothing in them that has a second form.
func runsInOrder(in []Run) bool {
	last := time.Time{}
	for i := range in {
		r := &in[i]
		at := r.at()
		if i > 0 && in[i-1].Certname == r.Certname {
			if c := last.Compare(at); c > 0 || c == 0 && in[i-1].Hash >= r.Hash {
				return false
			}
		} else if i > 0 && in[i-1].Certname > r.Certname {
			return false
		}
		if !isClean(r.Start) || !isClean(r.End) || !isClean(r.Produced) || !isClean(r.Received) || !r.Detail.inOrder() {
			return false
		}
		last = at
	}
	return true
}

func isClean(t time.Time) bool { return t == clean(t) }

// inOrder: normalized would only copy it.
func (d *Detail) inOrder() bool {
	if d == nil {
		return true
	}
	for _, v := range d.Metrics {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return len(d.Failures) < 2 || slices.IsSortedFunc(d.Failures, compareFailures)
}

func compareFailures(a, b Failure) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Resource, b.Resource), strings.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line), strings.Compare(a.Message, b.Message))
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
	slices.SortFunc(failures, compareFailures)
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
