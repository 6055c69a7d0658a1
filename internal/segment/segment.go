// Package segment says what segments are to segments/compose. The daemon, the plan and the configuration share it, so that
// what is checked and planned is what is rolled out.
package segment

import (
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// Definitions gives segments for compose.Compile, by name.
func Definitions(all map[string]gate.Segment) map[string]compose.Definition {
	out := make(map[string]compose.Definition, len(all))
	for name, s := range all {
		d := compose.Definition{Selector: s.Selector, PQL: s.PQL, Certnames: s.Certnames, AnyOf: s.AnyOf, AllOf: s.AllOf, Not: s.Not}
		if s.Percent != nil {
			parts := uint64(*s.Percent)
			d.Parts = &parts
		}
		out[name] = d
	}
	return out
}
