package puppetdb_test

import (
	"testing"

	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// The same contract runs against a real PuppetDB in internal/e2e.
func TestContract(t *testing.T) {
	s := puppetdbtest.NewServer(t)
	puppetdbtest.Contract(t, s.URL, puppetdbtest.Commands(s.URL))
}
