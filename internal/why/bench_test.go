package why

import (
	"fmt"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

// BenchmarkWhy is the whole answer for a node of a million, but for reading the snapshot over the network: one set of all nodes for a
// stage and one for a hold, fifty segments, twenty holds by selector.
func BenchmarkWhy(b *testing.B) {
	const nodes = 1_000_000
	names := make([]string, nodes)
	for i := range names {
		names[i] = fmt.Sprintf("node%d.example.test", i)
	}
	kv := mem.New()
	s := site()
	s.Document.Tracks[0].Nodes, s.Document.Sets = nodes, map[string]int{}
	publish := func(names []string) segments.Set {
		set := segments.NewSet(names)
		for i, shard := range set.Shards() {
			if err := kv.Txn(b.Context(), store.Set(edge.SetKey(set.Digest, i), shard)); err != nil {
				b.Fatal(err)
			}
		}
		s.Document.Sets[set.Digest] = set.Count
		return set
	}
	all, held := publish(names), publish(names[:nodes/2])
	s.Document.Tracks[0].Members = all.Digest
	r := &s.Rollouts[0]
	r.State.Stages[0].Set, r.State.Stages[0].Count = all.Digest, all.Count
	s.Document.Rollouts[0].Stages[0].Set = all.Digest
	s.Document.Rollouts[0].Caps = []segments.Cap{{ID: "hold/h0", Set: held.Digest, Limit: segments.None}}
	r.State.Caps = []gate.Cap{{ID: "hold/h0", Set: held.Digest, Count: held.Count, Since: t0}}
	for i := range 20 {
		s.Holds = append(s.Holds, gate.Hold{ID: fmt.Sprint("h", i), Selector: fmt.Sprintf(`{enc.datacenter="dc%d", certname=~"node.*"}`, i), Until: t0.Add(time.Hour)})
	}
	for i := range 50 {
		r.Spec.Segments[fmt.Sprint("dc", i)] = gate.Segment{Selector: fmt.Sprintf(`{enc.datacenter="dc%d", facts.os.family!="windows"}`, i)}
	}
	facts := map[string]any{"os": map[string]any{"family": "Debian"}}
	for i := 0; b.Loop(); i++ {
		name := names[i*7919%nodes]
		ask := Ask{Certname: name, Now: t0, Attributes: Inventory(name, facts, nil, map[string]any{"datacenter": "dc7"}), Segments: r.Spec.Segments,
			Member: func(digest string, count int, print string) (bool, error) {
				return edge.FetchMember(b.Context(), kv, digest, count, print)
			}}
		v, err := Of(s, ask)
		if err != nil || len(v.Segments) != 51 || len(v.Tracks[0].Rollouts[0].Stages) != 3 {
			b.Fatalf("%v: %+v", err, v)
		}
	}
}
