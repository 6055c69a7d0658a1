package sluice_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/notify"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// sample is the one block of a language on a page.
func sample(t *testing.T, file, lang string) string {
	t.Helper()
	parts := strings.Split(read(t, file), "```"+lang+"\n")
	if len(parts) != 2 {
		t.Fatalf("%s: %d blocks of %s, expected one", file, len(parts)-1, lang)
	}
	text, _, _ := strings.Cut(parts[1], "```")
	return text
}

// TestEdgeSample reads the README's enc.yml as an edge would, and asks for every key.
func TestEdgeSample(t *testing.T) {
	text := sample(t, "README.md", "yaml")
	file := filepath.Join(t.TempDir(), "enc.yml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.LoadConfig(file); err != nil {
		t.Error(err)
	}
	shown := map[string]string{}
	flatten(t, text, shown)
	for _, key := range keysOf(reflect.TypeFor[edge.Config](), "") {
		if key == "store.dir" { // instead of consul, in a section of its own
			if !strings.Contains(read(t, "README.md"), "store: {dir: /") {
				t.Error("README.md does not show store.dir")
			}
			continue
		}
		if shown[key] == "" {
			t.Errorf("README.md: enc.yml lacks %s", key)
		}
	}
}

// TestWebhookSample holds the page's request to what a webhook sends.
func TestWebhookSample(t *testing.T) {
	dec := json.NewDecoder(strings.NewReader(sample(t, "docs/operations.md", "json")))
	dec.DisallowUnknownFields()
	var m notify.Message
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if err := m.Event.Check(); err != nil || m.Version != notify.WebhookVersion {
		t.Errorf("version %d, %v", m.Version, err)
	}
}

// TestHoldSample reads the hold that the page writes to Consul as the leader does.
func TestHoldSample(t *testing.T) {
	found := false
	for _, c := range commandLines(t, "docs/operations.md") {
		if len(c.argv) != 5 || !strings.HasPrefix(c.argv[3], "sluice/holds/") {
			continue
		}
		found = true
		dec := json.NewDecoder(bytes.NewReader([]byte(strings.Trim(c.argv[4], "'"))))
		dec.DisallowUnknownFields()
		var h gate.Hold
		if err := dec.Decode(&h); err != nil {
			t.Fatalf("line %d: %v", c.line, err)
		}
		if _, err := selector.Parse(h.Selector); err != nil || h.Until.IsZero() || h.By == "" || h.Comment == "" {
			t.Errorf("line %d: %+v, %v", c.line, h, err)
		}
	}
	if !found {
		t.Error("no hold is shown")
	}
}
