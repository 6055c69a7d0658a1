package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"pgregory.net/rapid"
)

func zoneOf(t testing.TB, name string) timeinterval.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return timeinterval.Location{Location: location}
}

func TestExpand(t *testing.T) {
	berlin := zoneOf(t, "Europe/Berlin")
	for _, c := range []struct {
		entry Stage
		want  string
	}{
		{Stage{Name: "all", Percent: Hundred}, "all 100%"},
		{Stage{Name: "up", Template: Template{Percents: []Percent{Hundred / 20, Hundred / 4}}}, "up-1 5%, up-2 25%"},
		{Stage{Name: "up", Template: Template{Linear: &Linear{Step: Hundred / 4}}}, "up-1 25%, up-2 50%, up-3 75%, up-4 100%"},
		{Stage{Name: "up", Template: Template{Linear: &Linear{From: Hundred / 100, Step: Hundred / 4, To: Hundred / 2}}}, "up-1 1%, up-2 26%, up-3 50%"},
		{Stage{Name: "up", Template: Template{Exponential: &Exponential{From: Hundred / 100, Factor: 4}}}, "up-1 1%, up-2 4%, up-3 16%, up-4 64%, up-5 100%"},
		{Stage{Name: "up", Template: Template{Exponential: &Exponential{From: 1, Factor: 1.01, To: 3}}}, "up-1 0.0000001%, up-2 0.0000002%, up-3 0.0000003%"},
		{Stage{Name: "up", Template: Template{Exponential: &Exponential{From: Hundred, Factor: 2}}}, "up 100%"},
		{Stage{Name: "tier", Percent: Hundred, Template: Template{ForEach: &ForEach{Segments: []string{"low", "high"}}}}, "tier-low low 100%, tier-high high 100%"},
		{Stage{Name: "dc", Template: Template{Percents: []Percent{Hundred / 10, Hundred},
			ForEach: &ForEach{Attribute: "enc.dc", Order: []string{"FRA 1", "*"}, Zones: map[string]timeinterval.Location{"FRA 1": berlin}}}},
			"dc-fra-1-1 s-dc-fra-1 10% Europe/Berlin, dc-fra-1-2 s-dc-fra-1 100% Europe/Berlin, dc-rest-1 s-dc-rest 10%, dc-rest-2 s-dc-rest 100%"},
	} {
		s, domains, err := Schedule{Stages: []Stage{c.entry, {Name: "last", Nodes: 7}}}.Expand("s", "schedules.s")
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		var got []string
		for _, stage := range s.Stages[:len(s.Stages)-1] {
			text := strings.Join(strings.Fields(stage.Name+" "+stage.Segment+" "+stage.Percent.String()), " ")
			if stage.TimeZone != nil {
				text += " " + stage.TimeZone.String()
			}
			if stage.Rest != strings.HasPrefix(stage.Name, "dc-rest") {
				t.Errorf("%s: of the rest %t", stage.Name, stage.Rest)
			}
			if !stage.empty() {
				t.Errorf("%s: a template is left", stage.Name)
			}
			got = append(got, text)
		}
		if joined := strings.Join(got, ", "); joined != c.want {
			t.Errorf("got  %s\nwant %s", joined, c.want)
		}
		if last := s.Stages[len(s.Stages)-1]; last.Name != "last" || last.Nodes != 7 {
			t.Errorf("the plain stage became %+v", last)
		}
		for _, d := range domains {
			if d.Name == "s-dc-rest" && d.Selector != `{enc.dc!="FRA 1"}` || d.Name == "s-dc-fra-1" && d.Selector != `{enc.dc="FRA 1"}` {
				t.Errorf("%s is %s", d.Name, d.Selector)
			}
		}
	}
}

// Whatever the numbers: growth is strict, ends where it should, and is never more than validation takes.
func TestGrowthGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		to := Percent(rapid.Uint64Range(1, uint64(Hundred)).Draw(t, "to"))
		from := Percent(rapid.Uint64Range(1, uint64(to)).Draw(t, "from"))
		template := Template{Exponential: &Exponential{From: from, To: to, Factor: rapid.Float64Range(1.0001, 1000).Draw(t, "factor")}}
		if rapid.Bool().Draw(t, "linear") {
			template = Template{Linear: &Linear{From: from, To: to, Step: Percent(rapid.Uint64Range(1, uint64(Hundred)).Draw(t, "step"))}}
		}
		var f fields
		sizes := template.sizes(&f, "p")
		if err := f.err(); err != nil {
			if !strings.Contains(err.Error(), "more than 100 stages") {
				t.Fatal(err)
			}
			return
		}
		if sizes[0] != from && from != to || sizes[len(sizes)-1] != to || !slices.IsSorted(sizes) || len(slices.Compact(slices.Clone(sizes))) != len(sizes) {
			t.Fatalf("%v from %s to %s", sizes, from, to)
		}
	})
}

func TestExpandRefuses(t *testing.T) {
	for _, c := range []struct {
		each    *ForEach
		segment string
		want    string
	}{
		{&ForEach{}, "", "exactly one of attribute, with an order, and segments"},
		{&ForEach{Attribute: "enc.dc", Order: []string{"*"}}, "", "alone is everyone"},
		{&ForEach{Segments: []string{"a"}}, "b", "names segment"},
		{&ForEach{Segments: []string{"a"}, Order: []string{"a"}}, "", "belong to an attribute"},
		{&ForEach{Attribute: "enc.dc", Order: []string{"a"}, Zones: map[string]timeinterval.Location{"b": {}}}, "", "is none of those"},
		{&ForEach{Attribute: "enc.dc", Order: []string{strings.Repeat("long", 20)}}, "", "no name of at most 63"},
	} {
		_, _, err := Schedule{Stages: []Stage{{Name: "s", Segment: c.segment, Percent: Hundred, Template: Template{ForEach: c.each}}}}.Expand("x", "p")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.each, err)
		}
	}
}

func FuzzMoment(f *testing.F) {
	f.Add("2026-12-19")
	f.Add("2026-12-19T18:00:00+01:00")
	f.Fuzz(func(t *testing.T, text string) {
		var m, again Moment
		if m.UnmarshalText([]byte(text)) != nil {
			return
		}
		written, err := m.MarshalText()
		if err != nil || again.UnmarshalText(written) != nil || !again.at.Truncate(time.Second).Equal(m.at.Truncate(time.Second)) {
			t.Fatal(fmt.Sprint(text, string(written), err))
		}
	})
}
