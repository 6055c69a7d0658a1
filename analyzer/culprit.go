package analyzer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// group is the same failure on all the nodes that show it.
type group struct {
	key       string
	nodes     []string
	incidents []incident
}

// grouped joins incidents by their first key, most nodes first, then by key.
func grouped(all []incident, keep func(incident) bool) []group {
	at := map[string]int{}
	var out []group
	for _, i := range all {
		if !keep(i) {
			continue
		}
		key := i.index()[0]
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, group{key: key})
		}
		g := &out[n]
		g.incidents = append(g.incidents, i)
		if !slices.Contains(g.nodes[max(0, len(g.nodes)-1):], i.node) {
			g.nodes = append(g.nodes, i.node) // incidents come sorted by node
		}
	}
	slices.SortFunc(out, func(a, b group) int {
		return cmp.Or(cmp.Compare(len(b.nodes), len(a.nodes)), strings.Compare(a.key, b.key))
	})
	return out
}

// culprit names the failure that most likely is the change's, nil if there is none: one that decides, then one that is new.
// Where counts decide it is the one that admitted nodes show most beyond what their controls let expect, new or not.
func (c *cohorts) culprit(all []incident) *Culprit {
	found := grouped(all, incident.decisive)
	if len(found) == 0 {
		found = grouped(all, func(i incident) bool { return i.origin == isNew || i.origin == shared && c.byCounts() })
		c.byExcess(found)
	}
	if len(found) == 0 {
		return nil
	}
	// Where it says what failed it beats a report without detail, however often that came.
	best := found[0]
	for _, g := range found {
		if g.incidents[0].known() {
			best = g
			break
		}
	}
	f := best.incidents[0].Failure
	return &Culprit{
		Kind: f.Kind, Resource: f.Resource, File: f.File, Line: f.Line, Message: f.Message,
		Nodes: best.nodes[:min(len(best.nodes), maxNames)], Count: len(best.nodes),
		Strata: c.strataOf(best.nodes),
	}
}

// byExcess sorts groups by how many more admitted nodes show a failure than its controls let expect.
func (c *cohorts) byExcess(found []group) {
	if !c.byCounts() || c.tally.counts.Control == 0 {
		return
	}
	ratio := float64(c.tally.counts.Admitted) / float64(c.tally.counts.Control)
	elsewhere := map[string]int{}
	for _, h := range c.controls {
		shown := map[string]bool{}
		for _, o := range h.before {
			if o.at().Before(c.evidence.StageStarted) {
				continue
			}
			for _, s := range signatures(o) {
				shown[s.index()[0]] = true
			}
		}
		for key := range shown {
			elsewhere[key]++
		}
	}
	excess := func(g group) float64 { return float64(len(g.nodes)) - float64(ratio*float64(elsewhere[g.key])) }
	slices.SortStableFunc(found, func(a, b group) int { return cmp.Compare(excess(b), excess(a)) })
}

// mostStrata caps the strata that a culprit names.
const mostStrata = 5

// strataOf says in which strata admitted nodes show it, the hardest hit first. With one stratum that says nothing.
func (c *cohorts) strataOf(nodes []string) []StratumShare {
	in := map[string]int{}
	for _, h := range c.canaries {
		if _, hit := slices.BinarySearch(nodes, h.Certname); hit {
			in[h.Stratum]++
		}
	}
	return c.ranked(in)
}

// ranked puts strata in the order of the share of their admitted nodes that are hit.
func (c *cohorts) ranked(hit map[string]int) []StratumShare {
	if len(c.tally.strata) < 2 {
		return nil
	}
	var out []StratumShare
	for name, n := range hit {
		out = append(out, StratumShare{Stratum: name, Nodes: n, Of: c.tally.strata[name]})
	}
	slices.SortFunc(out, func(a, b StratumShare) int {
		return cmp.Or(cmp.Compare(share(b.Nodes, b.Of), share(a.Nodes, a.Of)), cmp.Compare(b.Nodes, a.Nodes), strings.Compare(a.Stratum, b.Stratum))
	})
	return out[:min(len(out), mostStrata)]
}

// KindSilence is the culprit's kind where nodes stopped reporting: nothing says why, only what they have in common.
const KindSilence = "silence"

// silent is the culprit where the nodes that fell silent fail a stage.
func (c *cohorts) silent(n Counts) *Culprit {
	return &Culprit{Kind: KindSilence, Message: "does not report any more", Nodes: n.SilentNodes, Count: n.Silent, Strata: c.ranked(c.tally.silentIn)}
}

func (c *Culprit) describe() string {
	f := Failure{Kind: c.Kind, Resource: c.Resource, File: c.File, Line: c.Line, Message: c.Message}
	out := fmt.Sprintf("%s on %s", f.describe(), count(c.Count, "node"))
	if c.Kind == KindSilence {
		out = count(c.Count, "node") + " without a sign of life"
	}
	if len(c.Strata) > 0 {
		worst := c.Strata[0]
		out += fmt.Sprintf(", hardest in %s (%d of %d)", worst.Stratum, worst.Nodes, worst.Of)
	}
	return out
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// have is count with its verb.
func have(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " has"
	}
	return count(n, noun) + " have"
}

// names joins the first few of total node names for a sentence.
func names(nodes []string, total int) string {
	const most = 5
	shown := nodes[:min(len(nodes), most)]
	out := strings.Join(shown, ", ")
	if more := total - len(shown); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
