package config

import (
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// expand replaces the templates of every schedule by the stages and the segments that they make.
func (v *validator) expand() {
	c := v.config
	v.made, v.broken = map[string]string{}, map[string]bool{}
	for _, name := range sortedKeys(c.Schedules) {
		path := join("schedules", quoteKey(name))
		expanded, domains, err := c.Schedules[name].Expand(name, path)
		if err != nil {
			v.broken[name] = true
			v.addAll("", err)
			continue
		}
		if !v.given(path + ".deadline.after") {
			expanded.Deadline.After = 0
			for _, stage := range expanded.Stages {
				expanded.Deadline.After += stage.Deadline.After
			}
		}
		c.Schedules[name] = expanded
		for _, domain := range domains {
			v.domain(path, domain)
		}
	}
	c.usePresets()
}

// domain adds the segment that a template makes.
func (v *validator) domain(path string, domain schedule.Domain) {
	if _, taken := v.config.Segments[domain.Name]; taken {
		v.add(path, "makes a segment %s, which there is already", domain.Name)
		return
	}
	if v.config.Segments == nil {
		v.config.Segments = map[string]Segment{}
	}
	segment := Segment{Selector: domain.Selector}
	if domain.Within != "" {
		whole := domain.Name + "_all"
		v.config.Segments[whole], v.made[whole] = segment, domain.Written
		segment = Segment{AllOf: []string{domain.Within, whole}}
	}
	v.config.Segments[domain.Name], v.made[domain.Name] = segment, domain.Written
}

// frozen gives a segment as a rollout freezes it.
func (s Segment) frozen() gate.Segment {
	return gate.Segment{Selector: s.Selector, PQL: s.PQL, Certnames: s.Certnames, AnyOf: s.AnyOf, AllOf: s.AllOf, Not: s.Not,
		Membership: s.Membership, Percent: s.Percent}
}

// SegmentsOf gives what a schedule's stages name, and what that is made of. The configuration must be valid.
func (c *Config) SegmentsOf(s schedule.Schedule) map[string]gate.Segment {
	out := map[string]gate.Segment{}
	definitions := c.Definitions()
	for _, stage := range s.Stages {
		if stage.Segment == "" {
			continue
		}
		all, err := compose.Closure(definitions, stage.Segment)
		if err != nil {
			continue // the validator has said so
		}
		for _, name := range all {
			out[name] = c.Segments[name].frozen()
		}
	}
	return out
}

// TrackNames lists the tracks in order.
func (c *Config) TrackNames() []string { return sortedKeys(c.Tracks) }

// ScheduleNames lists the schedules in order.
func (c *Config) ScheduleNames() []string { return sortedKeys(c.Schedules) }

// PoliciesOf gives the policies that a schedule's stages name.
func (c *Config) PoliciesOf(s schedule.Schedule) gate.Policies {
	out := gate.Policies{}
	for _, stage := range s.Stages {
		if p, ok := c.Policies[stage.Policy]; ok {
			out[stage.Policy] = p
		}
	}
	return out
}

// WindowsOf gives the windows that a schedule's stages name.
func (c *Config) WindowsOf(s schedule.Schedule) map[string]schedule.Window {
	out := map[string]schedule.Window{}
	for _, stage := range s.Stages {
		for _, name := range stage.Windows {
			if w, ok := c.Windows[name]; ok {
				out[name] = w
			}
		}
	}
	return out
}

// AllSegments gives all segments as a rollout would freeze them.
func (c *Config) AllSegments() map[string]gate.Segment {
	all := make(map[string]gate.Segment, len(c.Segments))
	for name, s := range c.Segments {
		all[name] = s.frozen()
	}
	return all
}

// Definitions gives all segments for compose.Compile.
func (c *Config) Definitions() map[string]compose.Definition {
	return segment.Definitions(c.AllSegments())
}
