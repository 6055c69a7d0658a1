package cli

import (
	"math"
	"strings"
	"testing"
)

// FuzzReadNumbers: whatever a file holds, there is an error that names it, or at
// least one number and no NaN.
func FuzzReadNumbers(f *testing.F) {
	for _, seed := range []string{"", "1\n2\n", "a,b\n1,2\n", "\ufeff1\n", "NaN", "1e999", "\"", "a\n\"1\n2\"\n", "-Inf\n+Inf", "#\n", strings.Repeat("1", 70_000)} {
		f.Add(seed, "")
		f.Add(seed, "b")
		f.Add(seed, "1")
	}
	f.Fuzz(func(t *testing.T, text, column string) {
		values, err := readNumbers(strings.NewReader(text), "-", column)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "-:") {
				t.Errorf("error does not begin with the file: %v", err)
			}
			return
		}
		if len(values) == 0 {
			t.Error("no numbers and no error")
		}
		for _, v := range values {
			if math.IsNaN(v) {
				t.Error("NaN is taken for data")
			}
		}
	})
}
