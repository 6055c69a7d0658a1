package daemon

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// withAttributes makes n nodes with thirty attributes, twenty of PuppetDB and ten of the site's ENC, in a few thousand mixtures.
func withAttributes(n int) []*node {
	const mixtures = 6000
	var all []*said
	for m := range mixtures {
		v := values{"facts.os.family": []string{"Debian", "RedHat", "windows"}[m%3], "facts.dc": fmt.Sprint("dc", m%40), "trusted.extensions.pp_role": fmt.Sprint("role", m%60)}
		for k := range 17 {
			v[fmt.Sprint("facts.f", k)] = fmt.Sprint(m % (k + 3))
		}
		e := map[string]any{"environment": "production", "datacenter": fmt.Sprint("dc", m%40)}
		for k := range 8 {
			e[fmt.Sprint("e", k)] = fmt.Sprint(m % (k + 2))
		}
		all = append(all, &said{reported: "production", values: v, enc: e, encKnown: true})
	}
	out := make([]*node, n)
	for i := range out {
		out[i] = &node{certname: fmt.Sprintf("web%07d.dc%d.example.test", i, i%40), said: all[i*7919%mixtures]}
	}
	return out
}

// fiftySegments are of every kind that a node's attributes and name decide.
func fiftySegments() map[string]gate.Segment {
	half := schedule.Hundred / 2
	out := map[string]gate.Segment{}
	for i := range 20 {
		out[fmt.Sprint("dc", i)] = gate.Segment{Selector: fmt.Sprintf(`{enc.datacenter="dc%d", facts.os.family!="windows"}`, i)}
	}
	for i := range 10 {
		out[fmt.Sprint("role", i)] = gate.Segment{Selector: fmt.Sprintf(`{trusted.extensions.pp_role=~"role%d.*", facts.f%d!="0"}`, i, i)}
	}
	for i := range 5 {
		out[fmt.Sprint("glob", i)] = gate.Segment{Certnames: []string{fmt.Sprintf("web*%d.dc*.example.test", i), "db1.example.test"}}
		out[fmt.Sprint("any", i)] = gate.Segment{AnyOf: []string{fmt.Sprint("dc", i), fmt.Sprint("role", i)}}
		out[fmt.Sprint("all", i)] = gate.Segment{AllOf: []string{fmt.Sprint("dc", i+5), fmt.Sprint("role", i)}}
		out[fmt.Sprint("half", i)] = gate.Segment{Selector: fmt.Sprintf(`{facts.f%d="1"}`, i), Percent: &half}
	}
	return out
}

// BenchmarkResolve is a fleet divided into fifty segments.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			nodes, all := withAttributes(n), fiftySegments()
			names := slices.Sorted(maps.Keys(all))
			found := 0
			before := cpuSeconds(b)
			for b.Loop() {
				found = 0
				in, err := resolve(names, all, nodes, nil)
				if err != nil {
					b.Fatal(err)
				}
				for _, certnames := range in {
					found += len(certnames)
				}
			}
			if found == 0 || len(names) != 50 {
				b.Fatalf("%d segments hold %d nodes", len(names), found)
			}
			b.ReportMetric((cpuSeconds(b)-before)/float64(b.N), "cpu-s/op")
		})
	}
}

// cpuSeconds is what this process has used of all cores.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
