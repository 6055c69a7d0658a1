package enc

import (
	"fmt"
	"strings"

	"github.com/openinfrastructure/sluice/segments"
)

// purse pays for moves forward. Moves to baseline cost nothing.
type purse struct {
	saved   float64 // nodes
	free    bool    // a person forced this generation
	set     func(digest string, count int) ([]byte, error)
	made    map[string][]byte // sets that this edge makes of others, by digest
	clamped []string
}

// read gives a set's bytes, also of one that was made just now.
func (p *purse) read(digest string, count int) ([]byte, error) {
	if data, ok := p.made[digest]; ok {
		return data, nil
	}
	return p.set(digest, count)
}

func (p *purse) pay(nodes float64) bool {
	if p.free || nodes <= 0 {
		return true
	}
	if nodes > p.saved+1e-9 {
		return false
	}
	p.saved = max(0, p.saved-nodes)
	return true
}

// waits says in one sentence that nodes wait: there may be thousands, and the status goes into one key.
func (p *purse) waits(what string, certnames []string) {
	if n := len(certnames); n > 0 {
		first := strings.Join(certnames[:min(n, 3)], ", ")
		p.clamped = append(p.clamped, fmt.Sprintf("%d %s (%s%s)", n, what, first, map[bool]string{true: ", …"}[n > 3]))
	}
}

// crowd is whom a threshold is over: everyone on a track of so many nodes, or the members of a set.
type crowd struct {
	track   int // nodes on the track
	members int // nodes in the set; of no meaning where everyone is meant
	set     bool
}

// price is how many nodes a step of so large a share may move. Positions are even over a track, so a share of it is known. Who
// is in a set was chosen by whoever wrote the document, perhaps for their positions: all members may lie within the step.
func (c crowd) price(share float64) float64 {
	nodes := float64(max(c.track, c.members)) * share
	if c.set {
		nodes = min(nodes, float64(c.members))
	}
	return nodes
}

func (c crowd) size() int {
	if c.set {
		return c.members
	}
	return c.track
}

// raise moves a threshold over a crowd from prior towards want, as far as the allowance reaches.
func (p *purse) raise(prior, want segments.Threshold, c crowd, what string) segments.Threshold {
	if !prior.Less(want) {
		return want
	}
	n := c.size()
	if n > 0 && p.pay(c.price(want.Share()-prior.Share())) {
		return want
	}
	if n <= 0 {
		p.clamped = append(p.clamped, what+": the document does not say over how many nodes")
		return prior
	}
	reach := segments.ThresholdAt(prior.Share() + p.saved/float64(max(c.track, c.members)))
	p.saved = 0
	reach = segments.Higher(prior, segments.Lower(reach, want))
	p.clamped = append(p.clamped, fmt.Sprintf("%s: at %.4g %% of %d nodes, published %.4g %%: waits for the speed limit", what, 100*reach.Share(), n, 100*want.Share()))
	return reach
}
