package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/notify"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// statusEvery is how often a status that says nothing new is written again, to show that it is looked at.
const statusEvery = time.Minute

// publishStatus writes, per rollout, why it stands where it does. It is for people: losing it loses no decision.
func (l *leader) publishStatus(ctx context.Context, c *change, d gate.Decision, w gate.World) {
	for i := range w.Rollouts {
		r := &w.Rollouts[i]
		name := r.Spec.Name
		old := l.statuses[name]
		if _, moved := d.States[name]; r.State.Phase.Ended() && !moved && !old.At.IsZero() {
			continue
		}
		s := tree.Status{At: c.now, Leader: l.lease.Who(), Gates: dated(d.Gates[name], c.was(name, old), c.now), Verdict: r.Verdict,
			StillToRun: r.Verdict.Counts.Live - r.Verdict.Counts.Exposed, Kept: r.Kept, Planned: planned(r), Targets: targets(r, l.rosters[name])}
		if s.Verdict.Evidence == unwritten {
			s.Verdict.Evidence = ""
		}
		if r.State.Phase.Ended() && r.State.Verdict != nil {
			s.Verdict = *r.State.Verdict
		}
		if same(old, s) && c.now.Sub(old.At) < statusEvery {
			continue
		}
		data, err := json.Marshal(s)
		if err == nil {
			err = l.store.Txn(ctx, l.lease.Check(), store.Set(tree.StatusKey(name), data))
		}
		if err != nil {
			l.log.Warn().Err(err).Str("rollout", name).Msg("cannot write the status")
			return
		}
		l.statuses[name] = s
	}
}

// was is the status before this one: this leader's, or where it is new the one that the store has.
func (c *change) was(name string, own tree.Status) []gate.Gate {
	if own.At.IsZero() {
		if r := c.snap.Rollout(name); r != nil {
			return r.Status.Gates
		}
	}
	return own.Gates
}

// dated says since when each gate is open or closed.
func dated(gates, was []gate.Gate, now time.Time) []gate.Gate {
	out := slices.Clone(gates)
	for i := range out {
		g := &out[i]
		g.Since = now
		if j := slices.IndexFunc(was, func(o gate.Gate) bool { return o.Name == g.Name }); j >= 0 && was[j].Open == g.Open && !was[j].Since.IsZero() {
			g.Since = was[j].Since
		}
	}
	return out
}

// same compares two statuses without when they were taken, and without what only tells the time: a status that is written wakes
// this leader, and one that differed at every look would keep it and the store busy without end.
func same(a, b tree.Status) bool {
	a.At, b.At = time.Time{}, time.Time{}
	a.Verdict.Evidence, b.Verdict.Evidence = "", ""
	a.Verdict.Accounts, b.Verdict.Accounts = nil, nil
	a.Verdict.Checks, b.Verdict.Checks = timeless(a.Verdict.Checks), timeless(b.Verdict.Checks)
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// timeless leaves out how far the tests have come in time.
func timeless(checks []analyzer.Check) []analyzer.Check {
	out := slices.Clone(checks)
	for i := range out {
		if b := out[i].Bound; b != nil {
			still := *b
			still.T, still.Spent = 0, 0
			out[i].Bound = &still
		}
	}
	return out
}

// planned says how many nodes each stage holds: what the admitted ones had, what the next one would have.
func planned(r *gate.Rollout) []int {
	out := make([]int, len(r.Spec.Schedule.Stages))
	for i, stage := range r.Spec.Schedule.Stages {
		switch {
		case i < r.State.Current():
			out[i] = stage.Of(r.State.Stages[i].Count)
		case i == r.State.Current():
			out[i] = stage.Of(len(r.Current.Positions))
		case i == r.State.Current()+1:
			out[i] = stage.Of(len(r.Next.Positions))
		default:
			out[i] = -1
		}
	}
	return out
}

// targets foretells where stages to come end that are given in nodes: the next one by those who are in its segment now, a later one
// only if it is for everyone and nobody is kept.
func targets(r *gate.Rollout, f *roster) (out []segments.Threshold) {
	next, s := r.State.Current()+1, &r.Spec.Schedule
	for i := next; i < len(s.Stages) && f != nil && !r.State.Phase.Ended(); i++ {
		positions := r.Next.Positions
		switch {
		case s.Stages[i].Nodes == 0, i == next && r.Next.Err != "":
			continue
		case i > next && (s.Stages[i].Segment != "" || len(r.Caps) > 0):
			continue
		case i > next:
			positions = f.positions
		}
		if out == nil {
			out = make([]segments.Threshold, len(s.Stages))
		}
		if len(positions) > 0 {
			out[i] = gate.Target(*s, s.Stages[i], positions, len(f.nodes))
		}
	}
	return out
}

// appendAudit copies entries that the local file does not have from the store to the file, which keeps the whole chain. They
// are told apart by their hash: a restored store counts from an earlier number again.
func (l *leader) appendAudit(ctx context.Context, head tree.AuditHead) error {
	path := filepath.Join(l.site.cfg.Controller.StateDir, "audit.jsonl")
	if l.audited == nil {
		known, err := auditHashes(path)
		if err != nil {
			return err
		}
		l.audited = known
	}
	var fresh []tree.AuditEntry
	var lines [][]byte
	for seq := head.Seq; seq >= oldestKept(head.Seq) && seq > 0; seq-- {
		e, err := l.store.Get(ctx, tree.AuditKey(seq))
		if errors.Is(err, store.ErrNotFound) {
			break // older than what the store keeps: another leader's file has it
		}
		if err != nil {
			return err
		}
		var entry tree.AuditEntry
		if err := json.Unmarshal(e.Value, &entry); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
		if l.audited[entry.Hash] {
			break
		}
		fresh, lines = append(fresh, entry), append(lines, bytes.TrimSpace(e.Value))
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.Reverse(lines)
	if err := appendLines(path, lines); err != nil {
		return err
	}
	for _, e := range fresh {
		l.audited[e.Hash] = true
	}
	return nil
}

// appendLines adds whole lines to a file, after whatever a crash left of the last one.
func appendLines(path string, lines [][]byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	out := append(bytes.Join(lines, []byte("\n")), '\n')
	last := []byte{'\n'}
	if end > 0 {
		if _, err := f.ReadAt(last, end-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		out = append([]byte{'\n'}, out...)
	}
	if _, err := f.WriteAt(out, end); err != nil {
		return err
	}
	return f.Sync()
}

// auditHashes reads which entries the file has; a torn line has none.
func auditHashes(path string) (map[string]bool, error) {
	known := map[string]bool{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e tree.AuditEntry
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Hash != "" {
			known[e.Hash] = true
		}
	}
	return known, lines.Err()
}

func oldestKept(head uint64) uint64 {
	if head < tree.AuditKept {
		return 1
	}
	return head - tree.AuditKept + 1
}

// notify tells people's systems what the audit has and they have not heard. Where it stopped is kept in the store, so
// that a new leader goes on from there; receivers know an event by its ID and never take it twice.
func (l *leader) notify(ctx context.Context, snap *tree.Snapshot) {
	if snap.Notified >= snap.Audit.Seq {
		return
	}
	for seq := max(snap.Notified+1, oldestKept(snap.Audit.Seq)); seq <= snap.Audit.Seq; seq++ {
		entry, err := l.store.Get(ctx, tree.AuditKey(seq))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		var e tree.AuditEntry
		if err == nil {
			err = json.Unmarshal(entry.Value, &e)
		}
		if err != nil {
			l.log.Warn().Err(err).Uint64("seq", seq).Msg("cannot notify")
			return
		}
		if n, ok := toEvent(e); ok {
			if g := l.site.cfg.Grafana; g != nil {
				n.Tags = g.Tags
			}
			l.site.queue.Push(n)
		}
	}
	data := fmt.Appendf(nil, "%d", snap.Audit.Seq)
	if err := l.store.Txn(ctx, l.lease.Check(), store.CAS(tree.NotifiedKey, data, snap.Versions[tree.NotifiedKey])); err != nil && !errors.Is(err, store.ErrConflict) {
		l.log.Warn().Err(err).Msg("cannot remember what was notified")
	}
}

// toEvent gives what people's systems hear of; steps of a ramp and flags are for the audit alone.
func toEvent(e tree.AuditEntry) (notify.Event, bool) {
	kinds := map[string]string{
		gate.EventStarted: notify.KindRolloutStarted, gate.EventStage: notify.KindStageStarted, gate.EventStageEnded: notify.KindStageEnded,
		gate.EventSettling: notify.KindSettling, gate.EventCompleted: notify.KindCompleted, gate.EventBackedOut: notify.KindBackedOut,
	}
	kind, ok := kinds[e.Kind]
	if !ok {
		return notify.Event{}, false
	}
	id := e.Rollout + "/" + e.Kind
	if e.Stage != "" {
		id = e.Rollout + "/" + e.Stage + "/" + e.Kind
	}
	return notify.Event{ID: id, Rollout: e.Rollout, Track: e.Track, Stage: e.Stage, StageIndex: max(e.Index, 0), Kind: kind, Verdict: e.Result, Text: e.Text, At: e.At}, true
}
