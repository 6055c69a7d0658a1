package daemon

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// fileOf is the file of a ledger.
func fileOf(tb testing.TB, l *ledger) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := &savedWriter{out: bufio.NewWriter(&b), sum: sha256.New()}
	if err := l.save(w, savedHeader{PuppetDB: "http://puppetdb", At: t0, Feed: puppetdb.FeedState{Start: t0, Width: time.Minute, Now: t0}}); err != nil {
		tb.Fatal(err)
	}
	if err := w.out.Flush(); err != nil {
		tb.Fatal(err)
	}
	return w.sum.Sum(b.Bytes())
}

// read reads a file's content into a new ledger.
func read(tb testing.TB, data []byte) (*ledger, error) {
	tb.Helper()
	l := newLedger(func() time.Time { return t0 })
	_, err := readSavedFrom(bytes.NewReader(data), "http://puppetdb", l, t0.Add(time.Minute), time.Hour)
	return l, err
}

// liveLedger has all that a ledger can have: nodes with trouble, details that are missing, odd nodes, and a rollout.
func liveLedger(tb testing.TB, n int, seed uint64) *ledger {
	tb.Helper()
	l, _, _, _ := withCourse(tb, n)
	rng := rand.New(rand.NewPCG(seed, 0))
	reports := reportsOf(n, 5)
	for i := range reports {
		r := &reports[i]
		if r.ProducerTimestamp.After(t0.Add(time.Hour)) && rng.IntN(2) == 0 {
			r.Environment = "production_2"
		}
		switch rng.IntN(30) {
		case 0:
			r.Status = "failed"
		case 1:
			r.Status = "changed"
		case 2:
			r.Noop = true
		case 3:
			r.StartTime, r.EndTime = r.StartTime.Add(time.Hour), r.EndTime.Add(time.Hour)
		}
	}
	found := map[string]puppetdb.Detail{}
	for i, hash := range failedOf(reports) {
		if i%2 == 0 {
			continue
		}
		found[hash] = puppetdb.Detail{Metrics: []puppetdb.Metric{{Category: "resources", Name: "failed", Value: 1}}, Events: []puppetdb.Event{{Status: "failure", ResourceType: "Exec", ResourceTitle: "x"}}}
	}
	l.add(reports, found)
	return l
}

// TestSavedIsTheSame: what is read is what was written, and a course that is taken up goes on as it was.
func TestSavedIsTheSame(t *testing.T) {
	for seed := range uint64(5) {
		l := liveLedger(t, 60, seed)
		got, err := read(t, fileOf(t, l))
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]any{{l.names.list, got.names.list}, {l.seen, got.seen}, {l.envs, got.envs}, {l.trouble, got.trouble}, {l.missing, got.missing}} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Errorf("seed %d (-written +read):\n%s", seed, diff)
			}
		}
		if !slices.Equal(l.recent, got.recent) {
			t.Errorf("seed %d: the runs differ", seed)
		}
		_, _, state, r := withCourse(t, 60)
		spec := &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp"}
		c, was := got.follow(spec, state, r, 24*time.Hour, nil), l.courses["ntp"]
		if diff := cmp.Diff(was.nodes, c.nodes); diff != "" {
			t.Errorf("seed %d: nodes (-before +taken up):\n%s", seed, diff)
		}
		if diff := cmp.Diff(was.sums, c.sums); diff != "" {
			t.Errorf("seed %d: summaries (-before +taken up):\n%s", seed, diff)
		}
		if !slices.Equal(was.progress, c.progress) || !slices.Equal(was.cut, c.cut) {
			t.Errorf("seed %d: the progress differs", seed)
		}
		if other := got.takeSaved(spec, state); other != nil {
			t.Error("it can be taken up twice")
		}
	}
}

// TestAnotherRolloutOfTheSameName is not the one that was saved.
func TestAnotherRolloutOfTheSameName(t *testing.T) {
	l := liveLedger(t, 20, 1)
	for name, spec := range map[string]gate.Spec{"salt": {Name: "ntp", Candidate: "production_2", Salt: "other"}, "candidate": {Name: "ntp", Candidate: "production_3", Salt: "ntp"}, "name": {Name: "sshd", Candidate: "production_2", Salt: "ntp"}} {
		got, err := read(t, fileOf(t, l))
		if err != nil {
			t.Fatal(err)
		}
		_, _, state, _ := withCourse(t, 20)
		if got.takeSaved(&spec, state) != nil {
			t.Errorf("another %s was taken for it", name)
		}
	}
}

// TestDamagedFiles: a file that is torn or has one bit turned anywhere is refused.
func TestDamagedFiles(t *testing.T) {
	data := fileOf(t, liveLedger(t, 12, 3))
	rng := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		cut := rng.IntN(len(data))
		if _, err := read(t, data[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken", cut, len(data))
		}
		turned := bytes.Clone(data)
		turned[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		if _, err := read(t, turned); err == nil {
			t.Fatal("a turned bit was not seen")
		}
	}
	for _, d := range [][]byte{nil, []byte("x"), append(bytes.Clone(data), 0), []byte(strings.Repeat("\x00", 100))} {
		if _, err := read(t, d); err == nil {
			t.Errorf("%d bytes were taken", len(d))
		}
	}
}

// TestReadingAFileMovesLittle: room for nodes doubles: what is there is moved a few times in all, not at every hundredth node.
func TestReadingAFileMovesLittle(t *testing.T) {
	const n = 30_000
	l := newLedger(func() time.Time { return t0 })
	for i := range n {
		l.id(fmt.Sprintf("node%06d.example", i))
	}
	file := fileOf(t, l)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	again, err := read(t, file)
	runtime.ReadMemStats(&after)
	if err != nil || len(again.recent) != n {
		t.Fatalf("read %d of %d nodes: %v", len(again.recent), n, err)
	}
	const node = uint64(unsafe.Sizeof(analyzer.Recent{})) + 8 + 16 + 8 + 32 // its runs, its last sign, its name and its number
	if got, most := after.TotalAlloc-before.TotalAlloc, 8*n*node; got > most {
		t.Errorf("reading %d nodes took %d bytes, expected %d at most", n, got, most)
	}
}

// TestForeignFiles: of another PuppetDB, too old, or of the future.
func TestForeignFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), savedName)
	if err := os.WriteFile(path, fileOf(t, liveLedger(t, 4, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		url string
		now time.Time
	}{
		"it is of PuppetDB http://puppetdb, expected http://other": {"http://other", t0},
		"it is 2h0m0s old, expected 1h0m0s at most":                {"http://puppetdb", t0.Add(2 * time.Hour)},
		"which is yet to come":                                     {"http://puppetdb", t0.Add(-time.Second)},
	} {
		if _, err := readSaved(path, c.url, newLedger(time.Now), c.now, time.Hour); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// summed gives content its sum.
func summed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(bytes.Clone(data), sum[:]...)
}

// FuzzSaved: whatever a file with a right sum says, it is read or refused, in bounded memory.
func FuzzSaved(f *testing.F) {
	whole := fileOf(f, liveLedger(f, 3, 1))
	f.Add(whole[:len(whole)-sha256.Size])
	f.Add([]byte(savedMagic))
	f.Add([]byte(savedMagic + "\x02{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := read(t, summed(data))
		if err != nil {
			return
		}
		if len(l.recent) != len(l.names.list) || len(l.seen) != len(l.recent) {
			t.Errorf("%d nodes, %d names, %d times", len(l.recent), len(l.names.list), len(l.seen))
		}
	})
}

// verdictsOf are the verdicts of a rollout over some more ticks.
func verdictsOf(l *lab, name string, ticks int) (out []string) {
	l.Helper()
	for range ticks {
		l.tick()
		r := l.snapshot().Rollout(name)
		v := r.Status.Verdict
		data, err := json.Marshal(v)
		l.must(err)
		out = append(out, fmt.Sprintf("%s %d %s", r.State.Phase, r.State.Current(), data))
	}
	return out
}

// TestTheSameVerdictAfterARestart: byte for byte, with the file of the leader before, without one, with a damaged one, and without any
// change of leader. Only with a good one PuppetDB is not asked about the past.
func TestTheSameVerdictAfterARestart(t *testing.T) {
	var want []string
	for _, how := range []string{"no restart", "no file", "file", "damaged"} {
		l := newLab(t, 40)
		l.keep = true
		l.metrics = slowCatalogs("", 1)
		l.breaks = func(node, environment string) string {
			if node == "n07" || node == "n31" && environment == "production_1" {
				return "Exec[always]"
			}
			return ""
		}
		l.lead()
		l.look()
		l.startBy("half", "r", "production_2")
		l.untilStage("r", 1)
		l.tick()
		path := l.path("state", savedName)
		switch how {
		case "file":
			l.must(l.l.collector.save())
		case "damaged":
			l.must(l.l.collector.save())
			data, err := os.ReadFile(path)
			l.must(err)
			data[len(data)/2] ^= 1
			l.must(os.WriteFile(path, data, 0o600))
		}
		before := len(l.pdb.Requests())
		if how != "no restart" {
			l.failover()
		}
		past := 0
		for _, r := range l.pdb.Requests()[before:] {
			if strings.Contains(r.Body, `"extract",["hash"`) && strings.Contains(r.Body, t0.Add(-50*time.Minute).Format("2006-01-02T15:")) && !strings.Contains(r.Body, `"metrics"`) {
				past++
			}
		}
		if how != "no restart" && (past == 0) != (how == "file") {
			t.Errorf("%s: PuppetDB was asked %d times about the past", how, past)
		}
		got := verdictsOf(l, "r", 6)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-no restart +%s):\n%s", how, how, diff)
		}
	}
}
