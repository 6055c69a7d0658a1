package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// windows checks every window. One without a zone is in order where a stage lends it one.
func (v *validator) windows() {
	for _, name := range sortedKeys(v.config.Windows) {
		v.name("windows", name)
		window := v.config.Windows[name]
		if !window.Zoned() && v.lentZone(name) {
			window = window.In(&timeinterval.Location{Location: time.UTC})
		}
		v.addAll("", window.Validate(join("windows", quoteKey(name))))
	}
}

// lentZone says whether a stage names the window; the stage itself is asked for its zone.
func (v *validator) lentZone(window string) bool {
	for _, s := range v.config.Schedules {
		if slices.ContainsFunc(s.Stages, func(stage schedule.Stage) bool { return slices.Contains(stage.Windows, window) }) {
			return true
		}
	}
	return false
}

func (v *validator) freezes() {
	for _, name := range sortedKeys(v.config.Freezes) {
		v.name("freezes", name)
		v.addAll("", v.config.Freezes[name].Validate(join("freezes", quoteKey(name))))
	}
}

// references checks a segment that is made of others.
func (v *validator) references(path string, s Segment) {
	for _, list := range []struct {
		key   string
		names []string
	}{{"any_of", s.AnyOf}, {"all_of", s.AllOf}} {
		if v.given(path+"."+list.key) && len(list.names) == 0 {
			v.add(path+"."+list.key, "expected at least one segment")
		}
		for i, name := range list.names {
			if _, known := v.config.Segments[name]; !known {
				v.add(fmt.Sprintf("%s.%s[%d]", path, list.key, i), "segment %q is not known", name)
			}
		}
	}
	if _, known := v.config.Segments[s.Not]; v.given(path+".not") && !known {
		v.add(path+".not", "segment %q is not known", s.Not)
	}
	name := path[strings.LastIndex(path, ".")+1:]
	if _, err := compose.Closure(v.config.Definitions(), name); err != nil && strings.Contains(err.Error(), "itself") {
		v.add(path, "%s", err.Error())
	}
}

// membership checks how a segment is resolved.
func (v *validator) membership(path string, s Segment) {
	if v.given(path+".membership") && s.Membership != gate.Live && s.Membership != gate.Snapshot {
		v.add(path+".membership", "expected %s or %s, got %q", gate.Live, gate.Snapshot, s.Membership)
	}
}
