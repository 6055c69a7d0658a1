package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return mem.New() })
}

// TestWatchBlocks: the conformance suite must allow a watch that returns early;
// this store does not need that.
func TestWatchBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		if err := s.Txn(t.Context(), store.Set("flags/freeze", nil), store.Set("holds/1", nil)); err != nil {
			t.Fatal(err)
		}
		_, index, err := s.List(t.Context(), "flags/")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := s.Watch(ctx, "flags/", index)
			done <- err
		}()
		synctest.Wait()
		if err := s.Txn(t.Context(), store.Set("holds/1", []byte("elsewhere"))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("watch returned without a change below its prefix: %v", err)
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	})
}

// TestAs: views share the keys and differ in who they are.
func TestAs(t *testing.T) {
	s := mem.New()
	anna := s.As("anna")
	if err := anna.Txn(t.Context(), store.Set("a", []byte("1"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	for view, want := range map[*mem.Store]string{s: "", anna: "anna"} {
		if who, err := view.Identity(t.Context()); err != nil || who != want {
			t.Errorf("identity %q, error %v, want %q", who, err, want)
		}
	}
}
