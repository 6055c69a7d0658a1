package intake

import (
	"testing"

	"github.com/openinfrastructure/sluice/puppetdb"
)

func TestPlaceIn(t *testing.T) {
	for _, c := range []struct {
		message, file string
		line          int
	}{
		{"Evaluation Error: no (file: /code/site.pp, line: 11, column: 17) on node n", "/code/site.pp", 11},
		{"Syntax error (file: /code/site.pp) on node n", "/code/site.pp", 0},
		{"Syntax error (file: /code/site.pp, line: x)", "/code/site.pp", 0},
		{"Could not connect", "", 0},
		{"(file: ", "", 0},
	} {
		if file, line := placeIn(puppetdb.Log{Message: c.message}); file != c.file || line != c.line {
			t.Errorf("%q: %s:%d, want %s:%d", c.message, file, line, c.file, c.line)
		}
	}
	if file, line := placeIn(puppetdb.Log{Message: "(file: /a, line: 1)", File: "/b", Line: 2}); file != "/b" || line != 2 {
		t.Errorf("the log's own place: %s:%d", file, line)
	}
}

func FuzzPlaceIn(f *testing.F) {
	f.Add("no (file: /code/site.pp, line: 11, column: 17)")
	f.Fuzz(func(t *testing.T, message string) {
		if file, line := placeIn(puppetdb.Log{Message: message}); len(file) > len(message) || file == "" && line != 0 {
			t.Errorf("%q: %q:%d", message, file, line)
		}
	})
}

// TestMeteredKnowsWhatIsNotThere: a report without metrics, or without this one, is not one of a run that put nothing back.
func TestMeteredKnowsWhatIsNotThere(t *testing.T) {
	seconds := puppetdb.Metric{Category: "time", Name: "config_retrieval", Value: 2}
	for _, c := range []struct {
		metrics           []puppetdb.Metric
		retrieval         float64
		corrective, known bool
	}{
		{},
		{metrics: []puppetdb.Metric{seconds}, retrieval: 2},
		{metrics: []puppetdb.Metric{seconds, {Category: "resources", Name: "corrective_change", Value: 0}}, retrieval: 2, known: true},
		{metrics: []puppetdb.Metric{{Category: "resources", Name: "corrective_change", Value: 3}}, corrective: true, known: true},
	} {
		if retrieval, corrective, known := Metered(c.metrics); retrieval != c.retrieval || corrective != c.corrective || known != c.known {
			t.Errorf("%v: %v, %t, %t", c.metrics, retrieval, corrective, known)
		}
	}
}
