package e2e

import (
	"cmp"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openinfrastructure/sluice/internal/fleetsim"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// fleetsimIsLikePuppetDB stores what a simulated fleet reports in the real PuppetDB, and asks both the client's questions:
// row by row they must answer alike, but for what only one of them can know (the hash, and when a report came in).
func (l *lab) fleetsimIsLikePuppetDB() {
	sc, err := fleetsim.Load("../../testdata/fleetsim/everything.yml")
	l.must(err)
	sc.Nodes = 40
	end := time.Now().Truncate(time.Second).Add(-2 * time.Hour)
	a := fleetsim.Admission{Candidate: "production_fail", Share: 1, At: end.Add(-time.Hour), Salt: "x"}
	sim := fleetsim.New(sc, end.Add(-time.Hour), a.Classifier("production_1"))
	sim.Advance(end)
	h := httptest.NewServer(sim.Handler())
	defer h.Close()
	real := fleetsim.Sender{URL: l.stack.PuppetDB.URL}
	l.must(real.Facts(l.ctx, sim, end))
	from := end.Add(-5 * time.Hour)
	sent, err := real.Reports(l.ctx, sim, from, end.Add(time.Minute))
	l.must(err)

	ours := map[string]bool{}
	read := func(url string) (reports []puppetdb.Report, details []puppetdb.Detail, inventory []puppetdb.Node, nodes []puppetdb.NodeStatus) {
		c, err := puppetdb.New(puppetdb.Config{URL: url, Timeout: time.Minute})
		l.must(err)
		defer c.Close()
		l.must(c.Reports(l.ctx, from, end.Add(time.Minute), func(r puppetdb.Report) error {
			if ours[r.Certname] || len(ours) == 0 {
				reports = append(reports, r)
			}
			return nil
		}))
		slices.SortFunc(reports, func(a, b puppetdb.Report) int {
			return cmp.Or(a.ProducerTimestamp.Compare(b.ProducerTimestamp), strings.Compare(a.Certname, b.Certname))
		})
		var hashes []string
		for _, r := range reports {
			if r.Status == "failed" || r.CachedCatalogStatus == "on_failure" {
				hashes = append(hashes, r.Hash)
			}
		}
		found, err := c.Details(l.ctx, hashes)
		l.must(err)
		for _, hash := range hashes {
			details = append(details, found[hash])
		}
		l.must(c.InventoryOf(l.ctx, []string{"facts.role", "facts.os.family", "facts.rack", "trusted.extensions.pp_role"}, nil, func(n puppetdb.Node) error {
			if ours[n.Certname] || len(ours) == 0 {
				inventory = append(inventory, n)
			}
			return nil
		}))
		l.must(c.Nodes(l.ctx, func(n puppetdb.NodeStatus) error {
			if ours[n.Certname] || len(ours) == 0 {
				nodes = append(nodes, n)
			}
			return nil
		}))
		slices.SortFunc(inventory, func(a, b puppetdb.Node) int { return strings.Compare(a.Certname, b.Certname) })
		slices.SortFunc(nodes, func(a, b puppetdb.NodeStatus) int { return strings.Compare(a.Certname, b.Certname) })
		return reports, details, inventory, nodes
	}
	simReports, simDetails, simInventory, simNodes := read(h.URL)
	for _, n := range simNodes {
		ours[n.Certname] = true
	}
	for _, r := range simReports { // nodes that have left are in reports only
		ours[r.Certname] = true
	}
	if len(simReports) != sent || sent < 200 || len(simDetails) == 0 || len(simInventory) < 30 {
		l.Fatalf("%d reports in the simulation, %d sent, %d with details, %d nodes", len(simReports), sent, len(simDetails), len(simInventory))
	}
	l.eventually("PuppetDB has all of it", func() string {
		if got, _, _, _ := read(l.stack.PuppetDB.URL); len(got) < sent {
			return "reports are missing"
		}
		return ""
	})
	reports, details, inventory, nodes := read(l.stack.PuppetDB.URL)
	same := func(what string, want, got any, options ...gocmp.Option) {
		l.Helper()
		if diff := gocmp.Diff(want, got, append(options, cmpopts.EquateEmpty())...); diff != "" {
			l.Errorf("%s (-simulated +real):\n%s", what, diff)
		}
	}
	same("reports", simReports, reports, cmpopts.IgnoreFields(puppetdb.Report{}, "Hash", "ReceiveTime"))
	for _, list := range [][]puppetdb.Detail{simDetails, details} {
		for i := range list {
			slices.SortFunc(list[i].Metrics, func(a, b puppetdb.Metric) int {
				return cmp.Or(strings.Compare(a.Category, b.Category), strings.Compare(a.Name, b.Name))
			})
		}
	}
	same("details", simDetails, details, cmpopts.EquateApprox(1e-9, 1e-9))
	there := maps.Clone(ours)
	maps.DeleteFunc(there, func(name string, _ bool) bool {
		return !slices.ContainsFunc(simNodes, func(n puppetdb.NodeStatus) bool { return n.Certname == name })
	})
	gone := func(n puppetdb.NodeStatus) bool { return !there[n.Certname] } // the real one still has those that left
	same("inventory", simInventory, slices.DeleteFunc(inventory, func(n puppetdb.Node) bool { return !there[n.Certname] }))
	same("nodes", simNodes, slices.DeleteFunc(nodes, gone), cmpopts.IgnoreFields(puppetdb.NodeStatus{}, "LatestReportHash", "FactsTimestamp"))
	for name := range ours { // the next scenarios' fleet is their own
		l.must(real.Deactivate(l.ctx, name))
	}
}
