package fleetsim

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Admission is a rollout of which the whole course is known before: who gets the candidate, and when.
type Admission struct {
	Candidate string
	Share     Share
	At        time.Time
	// Ramp spreads the admissions over a while, by position.
	Ramp time.Duration
	Salt string
}

// of says when a node is admitted, the zero time for a control.
func (a Admission) of(certname string) time.Time {
	u := segments.Position(a.Salt, certname)
	if a.Candidate == "" || !segments.FromShare(uint64(float64(a.Share)*segments.Billion)).Admits(u) {
		return time.Time{}
	}
	var part uint64
	if _, err := fmt.Sscanf(u, "%016x", &part); err != nil || a.Share == 0 {
		return a.At
	}
	return a.At.Add(time.Duration(math.Ldexp(float64(part), -64) / float64(a.Share) * float64(a.Ramp)))
}

// Classifier answers as an ENC would that obeys the admission.
func (a Admission) Classifier(baseline string) Classifier {
	return func(_ int, certname string, at time.Time) Answer {
		if t := a.of(certname); !t.IsZero() && !at.Before(t) {
			return Answer{Environment: a.Candidate}
		}
		return Answer{Environment: baseline}
	}
}

// WriteReports writes what is produced in a range as NDJSON in PuppetDB's field names, in order of time, failed runs with
// metrics, logs and events. It returns how many.
func (s *Sim) WriteReports(w io.Writer, from, to time.Time) (n int, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	all := s.between(from, to)
	slices.SortStableFunc(all, func(a, b record) int { return int(a.produced - b.produced) })
	for _, r := range all {
		row := s.payload(r)
		rep := s.report(r)
		delete(row, "resources")
		row["hash"], row["receive_time"], row["type"] = rep.Hash, rep.ReceiveTime.Format(stamp), "agent"
		d := s.detail(r)
		row["metrics"], row["logs"] = map[string]any{"data": d.Metrics}, map[string]any{"data": d.Logs}
		row["resource_events"] = map[string]any{"data": d.Events}
		line, err := json.Marshal(row)
		if err != nil {
			return n, err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return n, err
		}
		n++
	}
	return n, out.Flush()
}

// WriteAssignments writes who is in which cohort, with the attributes that make strata, as CSV.
func (s *Sim) WriteAssignments(w io.Writer, a Admission) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"certname", "cohort", "admitted_at", "role", "datacenter", "os"}); err != nil {
		return err
	}
	for i := range s.nodes {
		name, node := s.fleet.certname(i), s.fleet.nodes[i]
		cohort, at := "control", ""
		if t := a.of(name); !t.IsZero() {
			cohort, at = "canary", t.UTC().Format(time.RFC3339)
		}
		if err := out.Write([]string{name, cohort, at, s.fleet.roles[node.role], s.fleet.dcs[node.dc], s.fleet.oses[node.os]}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
