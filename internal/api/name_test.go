package api

import (
	"testing"

	"github.com/openinfrastructure/sluice/internal/web"
)

// TestNobodySpeaksForAnother: a name that reads like another one up to a space or a colon stays another one.
func TestNobodySpeaksForAnother(t *testing.T) {
	for name, want := range map[string]string{"anna": "anna", "anna x": "anna_x", "anna:": "anna_", "anna\tby=bob:": "anna_by_bob_", "bob@example.com": "bob@example.com", "": ""} {
		if got := nameOf(web.Identity{Name: name, How: "certificate"}); got != want+" (api, certificate)" {
			t.Errorf("%q: %q", name, got)
		}
	}
}
