package schedule

import (
	"math"
	"slices"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Template makes several stages of one entry of a schedule, which all have
// what else the entry says. At most one of Percents, Linear and Exponential is
// given; ForEach repeats it for one part of the fleet after the other.
type Template struct {
	Percents    []Percent    `yaml:"percents,omitempty"`
	Linear      *Linear      `yaml:"linear,omitempty"`
	Exponential *Exponential `yaml:"exponential,omitempty"`
	ForEach     *ForEach     `yaml:"for_each,omitempty"`
}

// Linear grows by Step each time, from From (default Step) to To (default 100%).
type Linear struct {
	From Percent `yaml:"from,omitempty"`
	Step Percent `yaml:"step"`
	To   Percent `yaml:"to,omitempty"`
}

// Exponential grows by Factor, more than 1, each time, from From to To (default
// 100%).
type Exponential struct {
	From   Percent `yaml:"from"`
	Factor float64 `yaml:"factor"`
	To     Percent `yaml:"to,omitempty"`
}

// ForEach names the parts of the fleet that follow each other: the values of an
// attribute, of which "*" is everything that is not listed, or segments.
type ForEach struct {
	Attribute string   `yaml:"attribute,omitempty"`
	Order     []string `yaml:"order,omitempty"`
	Segments  []string `yaml:"segments,omitempty"`
	// Zones gives the stages of a part the zone in which their windows are read.
	Zones map[string]timeinterval.Location `yaml:"zones,omitempty"`
	// ValueIsZone takes the value of the attribute for that zone.
	ValueIsZone bool `yaml:"value_is_zone,omitempty"`
}

// Rest stands in an order for every value that is not listed.
const Rest = "*"

// grows says whether the template gives the sizes of its stages.
func (t Template) grows() bool {
	return t.Percents != nil || t.Linear != nil || t.Exponential != nil
}

// empty says whether the entry is a plain stage.
func (t Template) empty() bool { return !t.grows() && t.ForEach == nil }

// sizes returns the percentages through which an entry grows, or nil with what
// is wrong in f.
func (t Template) sizes(f *fields, path string) []Percent {
	given := 0
	for _, one := range []bool{t.Percents != nil, t.Linear != nil, t.Exponential != nil} {
		if one {
			given++
		}
	}
	if given > 1 {
		f.add(path, "expected at most one of percents, linear and exponential, got %d of them", given)
		return nil
	}
	var out []Percent
	switch {
	case t.Linear != nil:
		out = t.Linear.sizes(f, path+".linear")
	case t.Exponential != nil:
		out = t.Exponential.sizes(f, path+".exponential")
	default:
		if out = slices.Clone(t.Percents); len(out) == 0 {
			f.add(path+".percents", "expected at least one percentage")
		}
	}
	if len(out) > maxStages {
		f.add(path, "makes more than %d stages", maxStages)
		return nil
	}
	return out
}

func (l Linear) sizes(f *fields, path string) []Percent {
	from, to := l.From, orHundred(l.To)
	if from == 0 {
		from = l.Step
	}
	switch {
	case l.Step == 0:
		f.add(path+".step", "expected a percentage above 0%%, it would never grow")
		return nil
	case from > to:
		f.add(path+".from", "%s is more than the end, %s", from, to)
		return nil
	}
	var out []Percent
	for p := from; p < to && len(out) <= maxStages; p += l.Step {
		out = append(out, p)
	}
	return append(out, to)
}

func (e Exponential) sizes(f *fields, path string) []Percent {
	to := orHundred(e.To)
	switch {
	case e.From == 0:
		f.add(path+".from", "expected a percentage above 0%%, it would never grow")
		return nil
	case e.From > to:
		f.add(path+".from", "%s is more than the end, %s", e.From, to)
		return nil
	case !(e.Factor > 1) || math.IsInf(e.Factor, 0):
		f.add(path+".factor", "expected a factor above 1, got %v", e.Factor)
		return nil
	}
	var out []Percent
	for p := e.From; p < to && len(out) <= maxStages; {
		out = append(out, p)
		next := math.Round(float64(p) * e.Factor)
		if next >= float64(to) {
			break
		}
		p = max(p+1, Percent(next))
	}
	return append(out, to)
}

func orHundred(p Percent) Percent {
	if p == 0 {
		return Hundred
	}
	return p
}
