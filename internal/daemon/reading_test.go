package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// TestReadingSharesNodes: an inventory has the nodes of the last one where nothing changed, and never writes to them.
func TestReadingSharesNodes(t *testing.T) {
	pdb := puppetdbtest.NewServer(t)
	set := func(name, role string) {
		facts := map[string]any{"kernel": "Linux"}
		if role != "" {
			facts["role"] = role
		}
		pdb.SetNode(puppetdb.Node{Certname: name, Facts: facts}, t0)
	}
	runs := func(name, environment string, at time.Time) {
		pdb.Add(puppetdb.Report{Hash: name + at.String(), Certname: name, Environment: environment, Status: "unchanged", CatalogUUID: "u",
			CachedCatalogStatus: "not_used", StartTime: at, EndTime: at.Add(time.Second), ProducerTimestamp: at, ReceiveTime: at})
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		set(name, "web")
		runs(name, "production_1", t0)
	}
	client, err := puppetdb.New(puppetdb.Config{URL: pdb.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := func(last *inventory, asked ...string) *inventory {
		t.Helper()
		inv, err := readInventory(context.Background(), client, newENCData((*config.ENC)(nil)), asked, last, t0)
		if err != nil {
			t.Fatal(err)
		}
		return inv
	}
	said := func(inv *inventory, name string) [2]string {
		n := inv.find(name)
		return [2]string{n.reported, n.value("facts.role")}
	}
	first := read(nil, "facts.role")
	runs("b", "production_2", t0.Add(time.Hour))
	set("c", "db")
	set("e", "web")
	second := read(first, "facts.role")
	for name, want := range map[string][2]string{"a": {"production_1", "web"}, "b": {"production_2", "web"}, "c": {"production_1", "db"}, "d": {"production_1", "web"}, "e": {"", "web"}} {
		if got := said(second, name); got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if got := said(first, name); got != [2]string{"production_1", "web"} {
			t.Errorf("the first inventory says now %q of %s", got, name)
		}
		changed := name == "b" || name == "c"
		if same := first.find(name) == second.find(name); same == changed {
			t.Errorf("%s is shared: %v, changed: %v", name, same, changed)
		}
	}
	if third := read(second, "facts.kernel", "facts.role"); third.find("a") == second.find("a") || third.find("a").value("facts.kernel") != "Linux" || second.find("a").value("facts.kernel") != "" {
		t.Error("a new attribute was not read, or was written into the last inventory")
	}
	set("d", "")
	if fourth := read(second, "facts.role"); said(fourth, "d")[1] != "" || said(second, "d")[1] != "web" {
		t.Error("a fact that is gone is still there, or was taken from the last inventory")
	}
}
