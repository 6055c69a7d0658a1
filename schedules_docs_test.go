package sluice_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/config"
)

const schedulesPage = "docs/schedules.md"

// exampleHead completes an example of the page; a schedule is added where it has none.
const exampleHead = "puppetdb: {url: \"http://puppetdb.example.com:8080\"}\ntracks: {production: {}}\n"

// examplesOn reads the yaml blocks of the page as a sluiced would.
func examplesOn(t *testing.T, file string) []*config.Config {
	t.Helper()
	var out []*config.Config
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, file), -1) {
		text := exampleHead + m[1]
		if !strings.Contains(text, "\nschedules:") {
			text += "schedules: {any: {stages: [{name: everyone}]}}\n"
		}
		c, err := config.Parse("example.yml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v in\n%s", file, err, m[1])
			continue
		}
		out = append(out, c)
	}
	return out
}

func TestScheduleExamples(t *testing.T) {
	examples := examplesOn(t, schedulesPage)
	if len(examples) < 4 {
		t.Fatalf("%d examples", len(examples))
	}
	stages := map[string]int{}
	for _, c := range examples {
		for name, s := range c.Schedules {
			stages[name] = len(s.Stages)
		}
	}
	for name, want := range map[string]int{"datacenters": 1 + 4*4 + 1, "tiers": 2*3 + 4 + 1, "nightly": 4} {
		if stages[name] != want {
			t.Errorf("schedule %s has %d stages, expected %d", name, stages[name], want)
		}
	}
}

// The table of templates says what they make.
func TestTemplateTable(t *testing.T) {
	rows := regexp.MustCompile("\\| `((?:percents|linear|exponential): .*?)` \\| (\\d.*?) \\|").FindAllStringSubmatch(read(t, schedulesPage), -1)
	if len(rows) != 2 {
		t.Fatalf("%d rows with sizes", len(rows))
	}
	for _, row := range rows {
		c, err := config.Parse("row.yml", []byte(exampleHead+"schedules: {any: {stages: [{name: all, "+row[1]+"}]}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		var sizes []string
		for _, stage := range c.Schedules["any"].Stages {
			sizes = append(sizes, strings.Replace(stage.Percent.String(), "%", " %", 1))
		}
		if got := strings.Join(sizes, ", "); got != row[2] {
			t.Errorf("%s makes %s, the page says %s", row[1], got, row[2])
		}
	}
}
