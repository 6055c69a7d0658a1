package segment

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments/compose"
)

func TestDefinitions(t *testing.T) {
	half, parts := schedule.Hundred/2, uint64(500_000_000)
	all := map[string]gate.Segment{
		"fra": {Selector: `{enc.dc="fra1"}`, Percent: &half}, "old": {PQL: "nodes { }"}, "list": {Certnames: []string{"a"}},
		"any": {AnyOf: []string{"fra"}}, "both": {AllOf: []string{"fra", "old"}}, "rest": {Not: "any", Membership: gate.Snapshot},
	}
	want := map[string]compose.Definition{
		"fra": {Selector: `{enc.dc="fra1"}`, Parts: &parts}, "old": {PQL: "nodes { }"}, "list": {Certnames: []string{"a"}},
		"any": {AnyOf: []string{"fra"}}, "both": {AllOf: []string{"fra", "old"}}, "rest": {Not: "any"},
	}
	if d := cmp.Diff(want, Definitions(all)); d != "" {
		t.Error(d)
	}
}

// A field that a segment gets later must not be forgotten here: all but the membership says who is in it.
func TestDefinitionsKnowEveryField(t *testing.T) {
	known := map[string]string{"Selector": "Selector", "PQL": "PQL", "Certnames": "Certnames", "AnyOf": "AnyOf", "AllOf": "AllOf", "Not": "Not", "Percent": "Parts", "Membership": ""}
	of := reflect.TypeFor[gate.Segment]()
	for i := range of.NumField() {
		if _, ok := known[of.Field(i).Name]; !ok {
			t.Errorf("gate.Segment.%s is not known to Definitions", of.Field(i).Name)
		}
	}
}
