package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

var t0 = time.Date(2026, 12, 4, 8, 0, 0, 0, time.UTC)

const percent = schedule.Hundred / 100

func request(stages ...schedule.Stage) Request {
	for i := range stages {
		stages[i].Ramp.InFlight, stages[i].Bake.Runs, stages[i].Pass = schedule.DefaultInFlight, 2, schedule.PassClean
	}
	return Request{Name: "ntp", Path: "schedules.s", Schedule: schedule.Schedule{Growth: 4, Stages: stages}, Policy: analyzer.DefaultPolicy(), Start: t0, Run: 30 * time.Minute, List: true,
		By: "facts.dc", Segments: map[string]gate.Segment{
			"fra": {Selector: `{facts.dc="fra1"}`}, "even": {Selector: `{facts.even="true"}`}, "none": {Certnames: []string{"gone.example.com"}}, "old": {PQL: "nodes[certname]{ }"},
			"enc": {Selector: `{enc.role="web"}`},
		}}
}

func nodes(n int) func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
	return func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
		for i := range n {
			dc := []string{"fra1", "ams1", "nyc1"}[i%3]
			if err := add(fmt.Sprintf("n%d.example.com", i), "production", map[string]any{"dc": dc, "even": i%2 == 0}, nil, nil); err != nil {
				return err
			}
		}
		return nil
	}
}

// Every node comes once, in the first stage whose segment and threshold hold it, by arithmetic of its own.
func TestPlanAgainstArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		var stages []schedule.Stage
		for i := range rapid.IntRange(0, 6).Draw(t, "stages") {
			s := schedule.Stage{Name: fmt.Sprint("s", i), Segment: rapid.SampledFrom([]string{"", "fra", "even"}).Draw(t, fmt.Sprint("segment", i)),
				Percent: schedule.Percent(rapid.IntRange(1, 100).Draw(t, fmt.Sprint("percent", i))) * percent}
			stages = append(stages, s)
		}
		r := request(append(stages, schedule.Stage{Name: "all", Percent: schedule.Hundred})...)
		held := schedule.Percent(rapid.IntRange(0, 20).Draw(t, "holdback")) * percent
		r.Schedule.Holdback = &held
		p, err := Make(r, nodes(n))
		if err != nil {
			t.Fatal(err)
		}
		got, total := map[string]string{}, 0
		for _, s := range p.Stages {
			total += s.New
			if s.New != len(s.Certs) || s.Total != total {
				t.Fatalf("%+v", s)
			}
			counted := 0
			for _, k := range s.Domains {
				counted += k
			}
			if counted != s.New {
				t.Fatalf("stage %s adds %d nodes, by domain %d", s.Stage, s.New, counted)
			}
			for _, c := range s.Certs {
				if got[c] != "" {
					t.Fatalf("%s is in %s and %s", c, got[c], s.Stage)
				}
				got[c] = s.Stage
			}
		}
		if total+len(p.Held) != n || p.Settling != len(p.Held) {
			t.Fatalf("%d nodes in stages, %d later, of %d", total, len(p.Held), n)
		}
		in := func(i int, segment string) bool {
			return segment == "" || segment == "fra" && i%3 == 0 || segment == "even" && i%2 == 0
		}
		for i := range n {
			name, want := fmt.Sprintf("n%d.example.com", i), ""
			u := segments.Position("ntp", name)
			for _, s := range r.Schedule.Stages {
				var lowest string
				for k := range n {
					if q := segments.Position("ntp", fmt.Sprintf("n%d.example.com", k)); in(k, s.Segment) && (lowest == "" || q < lowest) {
						lowest = q
					}
				}
				below := u < string(segments.FromShare(uint64(s.Percent))) || s.Percent == schedule.Hundred || u == lowest
				if in(i, s.Segment) && below && (held == 0 || u < string(segments.FromShare(uint64(schedule.Hundred-held)))) {
					want = s.Name
					break
				}
			}
			if got[name] != want {
				t.Fatalf("%s is in %q, expected %q", name, got[name], want)
			}
		}
		had := map[string]bool{}
		for k, s := range r.Schedule.Stages {
			had[s.Name] = true
			control := 0
			for i := range n {
				if in(i, s.Segment) && !had[got[fmt.Sprintf("n%d.example.com", i)]] {
					control++
				}
			}
			if p.Stages[k].Control != control {
				t.Fatalf("stage %s leaves %d controls, expected %d", s.Name, p.Stages[k].Control, control)
			}
		}
	})
}

func TestPlanIsStable(t *testing.T) {
	r := request(schedule.Stage{Name: "a", Percent: 5 * percent}, schedule.Stage{Name: "all", Percent: schedule.Hundred})
	a, err := Make(r, nodes(500))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Make(r, nodes(500))
	r.Name = "dns"
	c, _ := Make(r, nodes(500))
	if !slices.Equal(a.Stages[0].Certs, b.Stages[0].Certs) || slices.Equal(a.Stages[0].Certs, c.Stages[0].Certs) {
		t.Error("the same name gives other nodes, or another name the same")
	}
}

func warnings(p *Plan) string {
	var out []string
	for _, w := range p.Warnings {
		out = append(out, w.Text)
	}
	return strings.Join(out, "\n")
}

func TestPlanWarns(t *testing.T) {
	r := request(schedule.Stage{Name: "one", Nodes: 1}, schedule.Stage{Name: "fra", Segment: "fra", Percent: schedule.Hundred}, schedule.Stage{Name: "even", Segment: "even", Percent: schedule.Hundred},
		schedule.Stage{Name: "none", Segment: "none", Percent: schedule.Hundred}, schedule.Stage{Name: "again", Segment: "fra", Percent: 50 * percent, MinNodes: 900}, schedule.Stage{Name: "all", Percent: schedule.Hundred})
	p, err := Make(r, nodes(600))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"stage one: too small to show much: with 1 node only a fault on 90% of the nodes is seen with 90% probability",
		"stage fra: adds 200 nodes, a clean pass of 1 admits at most 4 (growth 4): it waits for an approval",
		"stage fra: adds 200 nodes, the edges let 60 an hour through by default: it takes 2h20m at least",
		"stage fra: takes all of segment fra: no control is left in it",
		"stage none: segment none holds no node: the rollout stands still here",
		"stage again: adds nobody", "stage again: needs 900 nodes that ran the change", "segments fra and even overlap in 100 nodes",
	} {
		if !strings.Contains(warnings(p), want) {
			t.Errorf("no %q in\n%s", want, warnings(p))
		}
	}
	for _, i := range []int{4, 5} {
		if p.Stages[i].Never != schedule.AfterNever || strings.Contains(warnings(p), schedule.AfterNever) {
			t.Errorf("stage %s: %q; that is in the table, and warned of is the stage that does not end:\n%s", p.Stages[i].Stage, p.Stages[i].Never, warnings(p))
		}
	}
	r.Calendar.Freezes = []schedule.Freeze{{Name: "x", Err: "gone"}}
	if p, err = Make(r, nodes(10)); err != nil || !strings.Contains(warnings(p), "stage one: does not end: freeze x cannot be read") {
		t.Errorf("%v\n%s", err, warnings(p))
	}
}

// TestPlanPassesOverAnEmptyRest: the rest of an order without nodes costs no time and stops nothing, unless it comes first.
func TestPlanPassesOverAnEmptyRest(t *testing.T) {
	rest := schedule.Stage{Name: "rest", Segment: "none", Percent: schedule.Hundred, Rest: true, Bake: schedule.Bake{Time: model.Duration(time.Hour)}}
	r := request(schedule.Stage{Name: "one", Nodes: 50}, rest, schedule.Stage{Name: "all", Percent: schedule.Hundred})
	p, err := Make(r, nodes(100))
	if err != nil {
		t.Fatal(err)
	}
	const want = "stage rest: segment none, the rest of an order, holds no node: it is passed over"
	if s := p.Stages[1]; s.Never != "" || s.Expected.Begin.IsZero() || !s.Expected.Begin.Equal(s.Expected.End) || p.Stages[2].Never != "" || !strings.Contains(warnings(p), want) {
		t.Errorf("%+v\n%s", s, warnings(p))
	}
	again := rest
	again.Name = "rest-2"
	r.Schedule.Stages = slices.Insert(r.Schedule.Stages, 2, again)
	if p, err = Make(r, nodes(100)); err != nil || p.Stages[2].Never != "" || strings.Count(warnings(p), "it is passed over") != 1 {
		t.Errorf("%v: growth of nobody is one warning\n%s", err, warnings(p))
	}
	r.Schedule.Stages = slices.Delete(r.Schedule.Stages, 2, 3)
	r.Schedule.Stages[0], r.Schedule.Stages[1] = rest, r.Schedule.Stages[0]
	if p, err = Make(r, nodes(100)); err != nil || p.Stages[0].Never == "" || p.Stages[1].Never == "" || !strings.Contains(warnings(p), "stage rest: segment none holds no node: the rollout stands still here") || strings.Contains(warnings(p), "a clean pass of 0") {
		t.Errorf("%v %+v\n%s", err, p.Stages[0], warnings(p))
	}
}

func TestPlanRefuses(t *testing.T) {
	all := schedule.Stage{Name: "all", Percent: schedule.Hundred}
	for want, c := range map[string]struct {
		r     Request
		nodes func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error
	}{
		"has no node of the track": {request(all), nodes(0)},
		"is in the inventory twice": {request(all), func(add func(a, b string, c, d, e map[string]any) error) error {
			_ = nodes(2)(add)
			return nodes(1)(add)
		}},
		"can only be answered by PuppetDB": {request(schedule.Stage{Name: "o", Segment: "old", Percent: 1}, all), nodes(3)},
		"no node of the inventory has ENC": {request(schedule.Stage{Name: "o", Segment: "enc", Percent: 1}, all), nodes(3)},
		`segment "elsewhere" is not known`: {request(schedule.Stage{Name: "o", Segment: "elsewhere", Percent: 1}, all), nodes(3)},
		"the file is torn, says its reader": {request(all), func(func(a, b string, c, d, e map[string]any) error) error {
			return fmt.Errorf("the file is torn, says its reader")
		}},
	} {
		if p, err := Make(c.r, c.nodes); p != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestReadInventory(t *testing.T) {
	const node = `{"certname":"a","environment":"production","facts":{"n":12345678901234567890},"trusted":{},"enc":{"role":"web"}}`
	count := func(text string) (n int, err error) {
		err = ReadInventory(strings.NewReader(text), func(certname, _ string, facts, _, enc map[string]any) error {
			n++
			if fmt.Sprint(certname, facts["n"], enc["role"]) != "a12345678901234567890web" {
				t.Errorf("%v %v", facts, enc)
			}
			return nil
		})
		return n, err
	}
	if n, err := count("[" + node + "," + node + "]"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "{}", "[" + node, "[" + node + ",", "[" + node + "]x", "[3]", `[{"certname":4}]`, "null"} {
		if _, err := count(bad); err == nil {
			t.Errorf("%q gives no error", bad)
		}
	}
}

func FuzzReadInventory(f *testing.F) {
	f.Add(`[{"certname":"a","facts":{"x":[1,2]}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		_ = ReadInventory(strings.NewReader(text), func(string, string, map[string]any, map[string]any, map[string]any) error { return nil })
	})
}
