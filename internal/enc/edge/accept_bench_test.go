package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

// BenchmarkAcceptMillion is `sluice-enc accept` on a track of a million nodes, with every set that it takes: the
// first document of an edge, a stage whose set grew by a tenth, and the timer that finds nothing new. The
// sets come from a store in memory, so the network is not in the figures; disk writes are.
func BenchmarkAcceptMillion(b *testing.B) {
	const million = 1_000_000
	certnames := make([]string, million)
	for i := range certnames {
		certnames[i] = fmt.Sprintf("web%06d.fra1.example.com", i)
	}
	members, before, after := segments.NewSet(certnames), segments.NewSet(certnames[:million*9/10]), segments.NewSet(certnames[:million-1])
	kv := mem.New()
	for _, set := range []segments.Set{members, before, after} {
		for n, shard := range set.Shards() {
			if err := kv.Txn(b.Context(), store.Set(SetKey(set.Digest, n), shard)); err != nil {
				b.Fatal(err)
			}
		}
	}
	publish := func(b *testing.B, e *Edge, generation uint64, stage segments.Set) {
		d := document(generation, segments.Stage{Name: "sites", Set: stage.Digest, Threshold: segments.All})
		d.Tracks[0].Members, d.Tracks[0].Nodes = members.Digest, million
		d.Sets = map[string]int{members.Digest: members.Count, stage.Digest: stage.Count}
		m, err := enc.Encode(d)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(e.Config.Manifest, m, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	accept := func(b *testing.B, e *Edge, generation uint64) {
		if st, err := e.Accept(b.Context()); err != nil || st.Refused != "" || st.Generation != generation {
			b.Fatalf("%+v %v", st, err)
		}
	}
	fresh := func(b *testing.B) *Edge {
		dir, err := os.MkdirTemp(b.TempDir(), "")
		if err != nil {
			b.Fatal(err)
		}
		e := &Edge{Config: Config{StateDir: dir, Host: "puppet1", EnvironmentPath: dir, Manifest: filepath.Join(dir, "manifest"), Flags: filepath.Join(dir, "flags")},
			Now: time.Now, Store: func() (store.Store, error) { return kv, nil }}
		if err := e.Config.setDefaults(); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(e.Config.Flags, []byte("end\n"), 0o644); err != nil {
			b.Fatal(err)
		}
		return e
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			e := fresh(b)
			publish(b, e, 1, before)
			b.StartTimer()
			accept(b, e, 1)
		}
	})
	b.Run("grown", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			e := fresh(b)
			publish(b, e, 1, before)
			accept(b, e, 1)
			publish(b, e, 2, after)
			b.StartTimer()
			accept(b, e, 2)
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		e := fresh(b)
		publish(b, e, 1, after)
		accept(b, e, 1)
		for b.Loop() {
			accept(b, e, 1)
		}
	})
}

// What a rollout adds to the document that every puppetserver reads, with names as long as CI makes them and
// four admitted stages. Sets are named, not listed, so the size of the fleet is not in it.
func TestDocumentBytesPerRollout(t *testing.T) {
	size := func(rollouts int) int {
		d := document(4711)
		d.Tracks[0].Nodes = 1_000_000
		for i := range rollouts {
			r := segments.Rollout{Name: fmt.Sprintf("production-8f3c2d%02x", i), Track: "production", Candidate: fmt.Sprintf("production_8f3c2d%02x", i)}
			for _, stage := range []string{"canary", "early", "half"} {
				r.Stages = append(r.Stages, segments.Stage{Name: stage, Threshold: segments.FromShare(segments.Billion / 3)})
			}
			r.Stages = append(r.Stages, segments.Stage{Name: "everyone", Threshold: segments.All})
			d.Rollouts = append(d.Rollouts, r)
		}
		m, err := enc.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		return len(m)
	}
	per := (size(100) - size(0)) / 100
	t.Logf("%d bytes per rollout", per)
	if per > 300 {
		t.Errorf("%d bytes per rollout, expected at most 300", per)
	}
}
