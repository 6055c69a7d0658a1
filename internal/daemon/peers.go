package daemon

import (
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// level leaves out of the comparison whom chance did not divide, see gate.Reached. choose takes the most anew, as when the stage
// begins; fresh are nodes that joined since.
func (c *course) level(state *gate.State, stage int, member func(set, print string) bool, choose bool, fresh func(i int) bool) {
	r := gate.ReachedBefore(state, stage)
	at, sizes := make([]int32, len(c.nodes)), map[segments.Threshold]int{}
	for i := range c.nodes {
		if !choose && !fresh(i) {
			continue
		}
		n, print, admitted := &c.nodes[i], "", ""
		if n.Stage >= 0 {
			admitted = state.Stages[n.Stage].Set
		}
		at[i] = r.Place(admitted, func(set string) bool {
			if print == "" {
				print = segments.Fingerprint(n.Certname)
			}
			return member(set, print)
		})
		if at[i] != gate.Elsewhere {
			sizes[r.Threshold(at[i])]++
		}
	}
	if choose {
		c.peers = r.Peers(sizes)
	}
	for i := range c.nodes {
		if choose || fresh(i) {
			c.nodes[i].Outside = !r.Compares(at[i], c.peers)
		}
	}
}
