package daemon

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/segments"
)

// TestTrackCacheSaysTheSame: looking only at nodes that have changed finds the same track, and the same newcomers, as looking at all.
func TestTrackCacheSaysTheSame(t *testing.T) {
	environments := []string{"production", "production_1"}
	reported := []string{"production_1", "other", ""}
	rapid.Check(t, func(t *rapid.T) {
		const most = 12
		some := func(name string) *node {
			n := &node{name, &said{reported: reported[rapid.IntRange(0, 2).Draw(t, "reported")]}}
			if enc := rapid.SampledFrom([]string{"", "production", "elsewhere"}).Draw(t, "enc"); enc != "" {
				n.enc = map[string]any{"environment": enc}
			}
			n.encKnown = rapid.Bool().Draw(t, "known")
			return n
		}
		next := func(last *inventory) *inventory {
			inv := &inventory{}
			for i := range most {
				name := fmt.Sprintf("n%02d", i)
				switch old := last.find(name); {
				case rapid.IntRange(0, 3).Draw(t, "gone") == 0:
				case old != nil && rapid.Bool().Draw(t, "as before"):
					inv.nodes = append(inv.nodes, old)
				default:
					inv.nodes = append(inv.nodes, some(name))
				}
			}
			return inv
		}
		hasENC := rapid.Bool().Draw(t, "has ENC")
		var members []string
		in := func(print string) bool {
			return slices.ContainsFunc(members, func(name string) bool { return segments.Fingerprint(name) == print })
		}
		var k *trackCache
		var inv *inventory
		for range 4 {
			inv = next(inv)
			part := k.changed(inv)
			fresh, want := part.newcomers(environments, hasENC, in), inv.newcomers(environments, hasENC, in)
			if !slices.Equal(fresh, want) {
				t.Fatalf("newcomers %q, want %q", certnamesOf(fresh), certnamesOf(want))
			}
			if grows := rapid.Bool().Draw(t, "grows"); grows {
				members, fresh = append(members, certnamesOf(fresh)...), nil
			}
			nodes, all := k.merge(inv, part.track("production", hasENC, in)), inv.track("production", hasENC, in)
			if !slices.Equal(nodes, all) {
				t.Fatalf("%d nodes on the track, want %d", len(nodes), len(all))
			}
			k = &trackCache{inv: inv, nodes: nodes, waiting: fresh}
		}
	})
}
