package schedule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Domain is a segment that a template makes: nodes that match Selector, of the
// segment Within if it is not "".
type Domain struct {
	Name, Selector, Within string
	Written                string // the path of its for_each
}

// part is one round of for_each; the zero value is an entry without it.
type part struct {
	suffix, segment string
	rest            bool // of an attribute: whatever is not listed
	zone            *timeinterval.Location
}

// Expand returns the schedule with every template replaced by the stages that
// it makes, and the segments that these name and nobody configured. name is the
// schedule's, path where it was written; each error is a *FieldError.
func (s Schedule) Expand(name, path string) (Schedule, []Domain, error) {
	var f fields
	var stages []Stage
	var domains []Domain
	for i, entry := range s.Stages {
		at := stagePath(path, i)
		if entry.empty() {
			entry.Written = at
			stages = append(stages, entry)
			continue
		}
		made, new := entry.expand(&f, name, at)
		stages, domains = append(stages, made...), append(domains, new...)
	}
	// Plain lists keep the names of their places.
	if !slices.ContainsFunc(s.Stages, func(e Stage) bool { return !e.empty() }) {
		stages = s.Stages
	}
	s.Stages = stages
	return s, domains, f.err()
}

func (s Stage) expand(f *fields, name, path string) ([]Stage, []Domain) {
	sizes := []Percent{s.Percent}
	if s.grows() {
		if s.Percent > 0 || s.Nodes > 0 {
			f.add(path, "expected either a size, or percents, linear or exponential")
			return nil, nil
		}
		if sizes = s.sizes(f, path); sizes == nil {
			return nil, nil
		}
	}
	parts, domains := []part{{segment: s.Segment, zone: s.TimeZone}}, []Domain(nil)
	if s.ForEach != nil {
		if parts, domains = s.parts(f, name, path+".for_each"); parts == nil {
			return nil, nil
		}
	}
	var out []Stage
	for _, p := range parts {
		for k, size := range sizes {
			stage := s
			stage.Template, stage.Written = Template{}, path
			stage.Segment, stage.TimeZone, stage.Percent, stage.Rest = p.segment, p.zone, size, p.rest
			stage.Name += p.suffix
			if len(sizes) > 1 {
				stage.Name += fmt.Sprintf("-%d", k+1)
			}
			out = append(out, stage)
		}
	}
	return out, domains
}

// parts returns what for_each goes through, or nil with what is wrong in f.
func (s Stage) parts(f *fields, name, path string) (out []part, domains []Domain) {
	e, before := s.ForEach, len(f.errs)
	names := e.Order
	switch {
	case (e.Attribute == "") == (len(e.Segments) == 0):
		f.add(path, "expected exactly one of attribute, with an order, and segments")
	case e.Attribute == "":
		names = e.Segments
		if e.Order != nil || e.ValueIsZone {
			f.add(path, "order and value_is_zone belong to an attribute, not to segments")
		}
		if s.Segment != "" {
			f.add(path+".segments", "the stage names segment %q already", s.Segment)
		}
	case len(e.Order) == 0:
		f.add(path+".order", "expected the values of %s in the order in which they follow, and %q for the rest", e.Attribute, Rest)
	case e.Order[0] == Rest && len(e.Order) == 1:
		f.add(path+".order", "%q alone is everyone", Rest)
	}
	for value := range e.Zones {
		if !slices.Contains(names, value) {
			f.add(path+".zones", "%q is none of those that follow each other", value)
		}
	}
	for i, value := range names {
		if slices.Index(names, value) < i {
			f.add(path, "%q is listed twice", value)
			continue
		}
		p, domain := s.part(f, name, path, value)
		out = append(out, p)
		if domain.Name != "" {
			domains = append(domains, domain)
		}
	}
	if len(f.errs) > before {
		return nil, nil
	}
	return out, domains
}

func (s Stage) part(f *fields, name, path, value string) (part, Domain) {
	e := s.ForEach
	p := part{suffix: "-" + slug(value), segment: value, zone: s.TimeZone}
	if zone, ok := e.Zones[value]; ok {
		p.zone = &zone
	} else if e.ValueIsZone && value != Rest {
		location, err := time.LoadLocation(value)
		if err != nil || value == "" || value == "Local" {
			f.add(path+".order", "%q is no IANA zone such as Europe/Berlin", value)
			return p, Domain{}
		}
		p.zone = &timeinterval.Location{Location: location}
	}
	if e.Attribute == "" {
		return p, Domain{}
	}
	domain := Domain{Name: name + "-" + s.Name + p.suffix, Selector: e.selector(value), Within: s.Segment, Written: path}
	if !ValidName(domain.Name) {
		f.add(path+".order", "%q makes a segment named %q, which is no name of at most %d characters", value, domain.Name, maxName)
	}
	p.segment, p.rest = domain.Name, value == Rest
	return p, domain
}

// selector matches the nodes with one value, or those with none of the listed.
func (e ForEach) selector(value string) string {
	if value != Rest {
		return fmt.Sprintf("{%s=%q}", e.Attribute, value)
	}
	var not []string
	for _, other := range e.Order {
		if other != Rest {
			not = append(not, fmt.Sprintf("%s!=%q", e.Attribute, other))
		}
	}
	return "{" + strings.Join(not, ", ") + "}"
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)

// slug makes a part of a name of a value.
func slug(value string) string {
	if value == Rest {
		return "rest"
	}
	return strings.Trim(notInName.ReplaceAllString(strings.ToLower(value), "-"), "-")
}
