package daemon

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain compares every look at what changed with one at everything, in every test.
func TestMain(m *testing.M) {
	wholeEvery, wholeOfAPass = 0, 0
	differs = func(what string) {
		panic("a look at what changed says something else than a look at everything: " + what)
	}
	goleak.VerifyTestMain(m)
}
