package fleetsim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/segments/selector"
)

// fleet is what does not change: who the nodes are.
type fleet struct {
	sc    Scenario
	dcs   []string
	roles []string
	oses  []string
	nodes []who
}

// who is one node.
type who struct {
	dc, role, os uint8
	rack         uint32
}

func newFleet(sc Scenario) *fleet {
	f := &fleet{sc: sc, nodes: make([]who, sc.Nodes)}
	var dc, role, os []float64
	f.dcs, dc = cumulate(sc.Datacenters)
	f.roles, role = cumulate(sc.Roles)
	f.oses, os = cumulate(sc.OS)
	count := make([]uint32, len(f.dcs))
	for i := range f.nodes {
		n := uint64(i)
		w := who{dc: uint8(pick(unit(sc.Seed, forDatacenter, n), dc)), role: uint8(pick(unit(sc.Seed, forRole, n), role)), os: uint8(pick(unit(sc.Seed, forOS, n), os))}
		w.rack = count[w.dc] / uint32(sc.RackSize)
		count[w.dc]++
		f.nodes[i] = w
	}
	return f
}

func cumulate(shares map[string]Share) (names []string, sums []float64) {
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		sum += float64(shares[name])
		names, sums = append(names, name), append(sums, sum)
	}
	return names, sums
}

// certname of a node: web-0000017.fra1.example.test.
func (f *fleet) certname(i int) string {
	w := f.nodes[i]
	return fmt.Sprintf("%s-%07d.%s.example.test", f.roles[w.role], i, f.dcs[w.dc])
}

// index of a node by its certname.
func (f *fleet) index(certname string) (int, bool) {
	host, _, _ := strings.Cut(certname, ".")
	i, err := strconv.Atoi(host[strings.LastIndexByte(host, '-')+1:])
	return i, err == nil && i >= 0 && i < len(f.nodes) && f.certname(i) == certname
}

func (f *fleet) rack(i int) string {
	return fmt.Sprintf("%s-r%04d", f.dcs[f.nodes[i].dc], f.nodes[i].rack)
}

// facts of a node, as facter nests them.
func (f *fleet) facts(i int) map[string]any {
	w := f.nodes[i]
	return map[string]any{
		"role": f.roles[w.role], "datacenter": f.dcs[w.dc], "rack": f.rack(i),
		"os":         map[string]any{"family": f.oses[w.os], "name": f.oses[w.os]},
		"processors": map[string]any{"count": 4 << (w.role % 4)},
	}
}

func (f *fleet) trusted(i int) map[string]any {
	return map[string]any{"certname": f.certname(i), "extensions": map[string]any{"pp_role": f.roles[f.nodes[i].role]}}
}

// joined and left say when a node came and went, the zero time where it was always there or stays.
func (f *fleet) joined(i int, begin time.Time) time.Time {
	return f.day(forJoin, i, begin, float64(f.sc.Churn.Join))
}

func (f *fleet) left(i int, begin time.Time) time.Time {
	return f.day(forLeave, i, begin, float64(f.sc.Churn.Leave))
}

// day spreads a share of the fleet per day over the days that follow; each node comes or goes at most once in 30 days.
func (f *fleet) day(what uint64, i int, begin time.Time, perDay float64) time.Time {
	if perDay == 0 {
		return time.Time{}
	}
	u := unit(f.sc.Seed, what, uint64(i))
	if u >= 30*perDay {
		return time.Time{}
	}
	return begin.Add(time.Duration(u / perDay * float64(24*time.Hour)))
}

// hits lists, for every effect of a change, which nodes it is for.
func (f *fleet) hits(name string, c Change) []func(node int) bool {
	var out []func(int) bool
	for k, e := range c.Effects {
		where := f.matcher(e.Where)
		share := 1.0
		if e.Share != nil {
			share = float64(*e.Share)
		}
		key := mix(f.sc.Seed, forEffect, text(name), uint64(k))
		out = append(out, func(node int) bool { return where(node) && unit(key, uint64(node)) < share })
	}
	return out
}

// text makes a number of a name.
func text(s string) uint64 {
	h := uint64(len(s))
	for _, c := range []byte(s) {
		h = mix(h, uint64(c))
	}
	return h
}

// matcher evaluates a selector once for every kind of node that it can tell apart where that is enough.
func (f *fleet) matcher(where string) func(int) bool {
	if where == "" {
		return func(int) bool { return true }
	}
	sel, err := selector.Parse(where)
	if err != nil { // the scenario was validated
		return func(int) bool { return false }
	}
	return func(i int) bool {
		return sel.Matches(selector.Of(f.certname(i), f.facts(i), f.trusted(i), nil))
	}
}
