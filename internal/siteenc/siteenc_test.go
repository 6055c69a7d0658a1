package siteenc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   map[string]any
	}{
		"nothing":                                {"", map[string]any{}},
		"a document":                             {"---\nenvironment: production\nclasses: {ntp: {}}\nparameters: {datacenter: fra1, n: 3}\n", map[string]any{"environment": "production", "classes": map[string]any{"ntp": map[string]any{}}, "datacenter": "fra1", "n": 3}},
		"symbols":                                {":environment: production\n:parameters: {role: web}\n", map[string]any{"environment": "production", "role": "web"}},
		"null":                                   {"environment:\nparameters:\n", map[string]any{}},
		"a parameter that is called environment": {"environment: production\nparameters: {environment: development}\n", map[string]any{"environment": "production"}},
	} {
		got, err := parse([]byte(c.answer))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for _, bad := range []string{"{{{", "- a\n- b\n", "text", "42"} {
		if got, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("---\nenvironment: production\nparameters: {a: 1}\n"))
	f.Add([]byte(":environment: x\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if data, err := parse(answer); err == nil && data == nil {
			t.Error("neither data nor an error")
		}
	})
}
