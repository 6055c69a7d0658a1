package dir_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/dir"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *dir.Store {
	t.Helper()
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

func TestSameAsMemory(t *testing.T) {
	for seed := range uint64(8) {
		storetest.Same(t, open(t, t.TempDir()), mem.New(), seed, 60)
	}
}
