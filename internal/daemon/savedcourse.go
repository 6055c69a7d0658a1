package daemon

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// savedCourse says of which rollout the records are that follow. A rollout of the same name with another salt is another one.
type savedCourse struct {
	Name      string             `json:"name"`
	Salt      string             `json:"salt"`
	Candidate string             `json:"candidate"`
	Stage     int                `json:"stage"`
	Started   time.Time          `json:"started"`
	Strata    map[string]string  `json:"strata"`
	Peers     segments.Threshold `json:"peers"`
	Names     []string           `json:"names"` // of strata, by number
	Nodes     int                `json:"nodes"`
}

// Flags of a node in a rollout.
const (
	savedOutside = 1 << iota
	savedUnproven
	savedCut
)

// saveCourse writes a rollout's nodes as they are now. It fails if the rollout turns in between.
func (l *ledger) saveCourse(w *savedWriter, name string, c *course) error {
	l.mu.Lock()
	h := savedCourse{Name: name, Salt: c.salt, Candidate: c.name, Stage: c.stage, Started: c.started, Strata: c.strata, Peers: c.peers, Nodes: len(c.nodes)}
	stage, started, admissions, caps := c.stage, c.started, c.admissions, c.caps
	numbers := map[string]uint16{}
	for i := range c.nodes {
		if _, known := numbers[c.nodes[i].Stratum]; !known {
			numbers[c.nodes[i].Stratum] = uint16(len(numbers))
			h.Names = append(h.Names, c.nodes[i].Stratum)
		}
	}
	l.mu.Unlock()
	if len(numbers) > 1<<16-1 {
		return fmt.Errorf("%d strata cannot be numbered", len(numbers))
	}
	if err := w.json(h); err != nil {
		return err
	}
	for from := 0; from < h.Nodes; from += savedAtOnce {
		l.mu.Lock()
		turned := l.courses[name] != c || c.stage != stage || !c.started.Equal(started) || c.admissions != admissions || c.caps != caps
		for i := from; i < min(from+savedAtOnce, h.Nodes) && !turned; i++ {
			n := &c.nodes[i]
			w.buf = binary.LittleEndian.AppendUint32(w.buf, c.ids[i])
			w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(n.AdmittedAt))
			w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(n.Stage))
			w.buf = binary.LittleEndian.AppendUint16(w.buf, numbers[n.Stratum])
			w.buf = append(w.buf, savedFlag(n.Outside, savedOutside)|savedFlag(n.Unproven, savedUnproven)|savedFlag(c.cut[i], savedCut))
			w.buf = c.progress[i].AppendBinary(w.buf)
			w.buf = c.sums[i].AppendBinary(w.buf)
		}
		l.mu.Unlock()
		if turned {
			return errTurned
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

func savedFlag(is bool, flag byte) byte {
	if is {
		return flag
	}
	return 0
}

// recordSize is what a node of a rollout has at least, without its summary.
const recordSize = 19

// course reads a rollout. It stands in for one that was followed until now, see follow.
func (r *savedReader) course(l *ledger) (name string, c *course, err error) {
	var h savedCourse
	if err := r.json(&h); err != nil {
		return "", nil, err
	}
	nodes := len(l.recent)
	if h.Name == "" || h.Nodes < 0 || h.Nodes > nodes || h.Stage < 0 || h.Started.IsZero() {
		return h.Name, nil, fmt.Errorf("%d nodes of %d, stage %d since %s", h.Nodes, nodes, h.Stage, h.Started)
	}
	c = &course{salt: h.Salt, name: h.Candidate, stage: h.Stage, started: h.Started.UTC(), strata: h.Strata, peers: h.Peers, at: make([]int32, nodes),
		nodes: make([]analyzer.Node, h.Nodes), sums: make([]analyzer.Summary, h.Nodes), progress: make([]analyzer.Progress, h.Nodes), cut: make([]bool, h.Nodes)}
	for i := range c.at {
		c.at[i] = -1
	}
	for i := range h.Nodes {
		if err := r.record(c, i, h.Names); err != nil {
			return h.Name, nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	return h.Name, c, nil
}

func (r *savedReader) record(c *course, i int, strata []string) error {
	b, err := r.bytes(recordSize + analyzer.ProgressSize)
	if err != nil {
		return err
	}
	id, at, stage := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint64(b[4:])), int32(binary.LittleEndian.Uint32(b[12:]))
	stratum, flags := binary.LittleEndian.Uint16(b[16:]), b[18]
	switch {
	case int(id) >= len(c.at) || c.at[id] >= 0:
		return fmt.Errorf("number %d, expected one below %d that was not there before", id, len(c.at))
	case int(stratum) >= len(strata):
		return fmt.Errorf("stratum %d of %d", stratum, len(strata))
	case (at != 0) != (stage >= 0) || stage < -1 || int(stage) > c.stage:
		return fmt.Errorf("admitted at %d by stage %d of %d", at, stage, c.stage)
	}
	if _, err := c.progress[i].CutBinary(b[recordSize:]); err != nil {
		return err
	}
	n := &c.nodes[i]
	n.AdmittedAt, n.Stage, n.Stratum, n.Outside, n.Unproven = analyzer.Moment(at), stage, strata[stratum], flags&savedOutside != 0, flags&savedUnproven != 0
	c.at[id], c.cut[i] = int32(i), flags&savedCut != 0
	first, err := r.in.Peek(1)
	if err != nil {
		return short(err)
	}
	sum, err := r.bytes(analyzer.SummarySize(first[0]))
	if err != nil {
		return err
	}
	_, err = c.sums[i].CutBinary(sum)
	return err
}

// takeSaved gives the course of a rollout as another leader left it, nil where there is none of it.
func (l *ledger) takeSaved(spec *gate.Spec, state *gate.State) *course {
	c := l.saved[spec.Name]
	delete(l.saved, spec.Name)
	if c == nil || c.salt != spec.Salt || c.name != spec.Candidate || c.stage >= len(state.Stages) {
		return nil
	}
	return c
}
