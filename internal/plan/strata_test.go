package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// racks are n nodes of three roles: web and db with plenty, dns with few. Each role is a segment's, too.
func racks(n, dns int, enc bool) func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
	return func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
		for i := range n {
			role := []string{"web", "db"}[i%2]
			if i < dns {
				role = "dns"
			}
			var data map[string]any
			if enc {
				data = map[string]any{"role": role}
			}
			if err := add(fmt.Sprintf("n%d.example.com", i), "production", map[string]any{"dc": "fra1", "role": role, "even": i%2 == 0}, nil, data); err != nil {
				return err
			}
		}
		return nil
	}
}

func byRole(attribute string, stages ...schedule.Stage) Request {
	r := request(append(stages, schedule.Stage{Name: "all", Percent: schedule.Hundred})...)
	r.Policy.Strata = []string{attribute}
	r.Segments["dns"] = gate.Segment{Selector: `{facts.role="dns"}`}
	return r
}

// TestPlanWarnsOfStrataWithoutControl: a stage may leave controls, and none of them be like some of its nodes.
func TestPlanWarnsOfStrataWithoutControl(t *testing.T) {
	half := schedule.Stage{Name: "half", Percent: 50 * percent}
	dns := schedule.Stage{Name: "dns", Segment: "dns", Percent: 90 * percent}
	for name, c := range map[string]struct {
		r          Request
		nodes, dns int
		want, not  string
	}{
		"every stratum keeps some": {byRole("facts.role", half), 900, 100, "", "no control"},
		"few are merged with all":  {byRole("facts.role", half), 900, 40, "", "no control"},
		"a stage of one stratum": {byRole("facts.role", half, schedule.Stage{Name: "most", Percent: 99 * percent}, schedule.Stage{Name: "even", Segment: "even", Percent: schedule.Hundred}), 900, 0,
			"stage even: takes all of segment even: no control is left in it", "strata"},
		"the whole fleet before the end": {byRole("facts.role", schedule.Stage{Name: "most", Percent: schedule.Hundred}), 1000, 60, "stage most: takes everyone with no holdback: no control is left", ""},
		"as good as the whole fleet":     {byRole("facts.role", schedule.Stage{Name: "most", Percent: schedule.Hundred - 1}), 1000, 60, "stage most: leaves no control in the fleet", ""},
		"too few for a certified pass": {certified(byRole("facts.role", schedule.Stage{Name: "most", Percent: 95 * percent})), 400, 0,
			"stage most: asks for a certified pass and leaves ", ""},
		"too few nodes for a certified pass": {certified(byRole("facts.role", schedule.Stage{Name: "tenth", Percent: 10 * percent})), 400, 0,
			"and it takes 94 with no event at all: it does not end", ""},
		"enough for a certified pass": {certified(byRole("facts.role", schedule.Stage{Name: "half", Percent: 50 * percent})), 400, 0, "", "asks for a certified pass"},
		"certified passes may grow":   {certified(byRole("facts.role", schedule.Stage{Name: "tenth", Percent: 10 * percent})), 1_200, 0, "", "waits for an approval"},
		"the holdback has nobody": {held(byRole("facts.role", dns, schedule.Stage{Name: "rest-of-dns", Segment: "dns", Percent: schedule.Hundred}), 1), 900, 100,
			"stage rest-of-dns: the holdback of 0.0000001% keeps none of its 100 nodes: no control is left, so the pass can only be clean", ""},
		"and none of the fleet": {held(byRole("facts.role", half), 1), 900, 0, "stage all: the holdback of 0.0000001% keeps none of its 900 nodes", ""},
		"enough of the fleet":   {held(byRole("facts.role", half), 20*percent), 900, 100, "", "no control"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Make(c.r, racks(c.nodes, c.dns, false))
			if err != nil {
				t.Fatal(err)
			}
			got := warnings(p)
			if !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("want %q, not %q, in\n%s", c.want, c.not, got)
			}
		})
	}
}

func certified(r Request) Request {
	r.Schedule.Stages[0].Pass = schedule.PassCertified
	return r
}

func held(r Request, p schedule.Percent) Request {
	r.Schedule.Holdback = &p
	return r
}

// TestPlanCountsControlsLikeTheJudge: controls are of the stage's segment, and without a node of the stage beside them nobody
// compares with them.
func TestPlanCountsControlsLikeTheJudge(t *testing.T) {
	r := byRole("facts.role", schedule.Stage{Name: "dns", Segment: "dns", Percent: 50 * percent}, schedule.Stage{Name: "even", Segment: "even", Percent: 50 * percent})
	p, err := Make(r, racks(1000, 200, false))
	if err != nil {
		t.Fatal(err)
	}
	dns, even := p.Stages[0], p.Stages[1]
	if dns.Of != 200 || dns.New+dns.Control != 200 || dns.Compared != dns.Control {
		t.Errorf("of 200 nodes of the segment %d are new, %d control, %d compared", dns.New, dns.Control, dns.Compared)
	}
	// 500 even nodes, 100 of them dns; those that the first stage has are neither canary nor control.
	if early := even.Of - even.New - even.Control; even.Of != 500 || early <= 0 || early > dns.New {
		t.Errorf("%+v, of which %d are earlier ones", even, early)
	}
}

// TestPlanLeavesOutWhomTheJudgeLeavesOut: chance did not divide between nodes in which a stage of another segment went further, or less
// far, and the others.
func TestPlanLeavesOutWhomTheJudgeLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		first, second schedule.Stage
		others        bool // the nodes that are compared: those outside the first stage's segment, or those in it
		answers       func(first, canaries int) int
		warns         string
	}{
		"half of the even nodes, then a fifth of all": {schedule.Stage{Segment: "even", Percent: 50 * percent}, schedule.Stage{Percent: 20 * percent}, true,
			func(_, canaries int) int { return canaries }, ""},
		"a tenth of the even nodes, then a fifth of all": {schedule.Stage{Segment: "even", Percent: 10 * percent}, schedule.Stage{Percent: 20 * percent}, true,
			func(_, canaries int) int { return canaries }, ""},
		"a fiftieth of most nodes, then a fifth of all": {schedule.Stage{Segment: "no-dns", Percent: 2 * percent}, schedule.Stage{Percent: 20 * percent}, false,
			func(first, canaries int) int { return first + canaries }, ""},
		"nearly all of most nodes, then all but a tenth": {schedule.Stage{Segment: "no-dns", Percent: 80 * percent}, schedule.Stage{Percent: 90 * percent}, false,
			func(first, canaries int) int { return first + canaries }, "stage second: 358 of the 418 nodes that it adds are compared with nobody: in them earlier stages of other segments went further, or less far, than in most of the fleet"},
	} {
		t.Run(name, func(t *testing.T) {
			c.first.Name, c.second.Name = "first", "second"
			r := byRole("facts.role", c.first, c.second)
			r.Policy.Strata = nil
			r.Segments["no-dns"] = gate.Segment{Selector: `{facts.role!="dns"}`}
			p, err := Make(r, racks(1000, 400, false))
			if err != nil {
				t.Fatal(err)
			}
			stage := map[string]int{}
			for i, s := range p.Stages {
				for _, certname := range s.Certs {
					stage[certname] = i
				}
			}
			canaries, controls := 0, 0
			for certname, i := range stage {
				var n int
				if _, err := fmt.Sscanf(certname, "n%d.", &n); err != nil {
					t.Fatal(err)
				}
				in := n%2 == 0
				if c.first.Segment == "no-dns" {
					in = n >= 400
				}
				if in == c.others {
					continue
				}
				canaries += map[bool]int{true: 1}[i == 1]
				controls += map[bool]int{true: 1}[i > 1]
			}
			s := p.Stages[1]
			if s.Canaries != canaries || s.Compared != controls || s.Uneven != s.New-canaries || s.Answers != c.answers(p.Stages[0].New, canaries) || canaries == 0 {
				t.Errorf("%+v, want %d canaries and %d controls", s, canaries, controls)
			}
			if want := r.Policy.SmallestBound(1, len(p.Stages), canaries, controls, Power); s.Bound != want || want == r.Policy.SmallestBound(1, len(p.Stages), s.New, s.Control, Power) {
				t.Errorf("the bound sees %g, want %g", s.Bound, want)
			}
			if got := warnings(p); !strings.Contains(got, c.warns) || c.warns == "" && strings.Contains(got, "compared with nobody") {
				t.Errorf("want %q in\n%s", c.warns, got)
			}
		})
	}
}

// TestPlanCountsAnswersForACertificate: nodes that earlier stages of other segments took do not count for it, however many they are.
func TestPlanCountsAnswersForACertificate(t *testing.T) {
	r := byRole("facts.role", schedule.Stage{Name: "even", Segment: "even", Percent: 90 * percent}, schedule.Stage{Name: "some", Percent: 5 * percent})
	r.Schedule.Stages[1].Pass = schedule.PassCertified
	p, err := Make(r, racks(2000, 0, false))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stages[1]
	if want := fmt.Sprintf("stage some: asks for a certified pass of %d nodes, and it takes ", s.Canaries); s.Answers != s.Canaries || s.Total < 900 || !strings.Contains(warnings(p), want) {
		t.Errorf("%+v: no %q in\n%s", s, want, warnings(p))
	}
}

// TestPlanSaysThatStrataAreNotKnown: without ENC data no stratum is empty, which proves nothing.
func TestPlanSaysThatStrataAreNotKnown(t *testing.T) {
	const want = "no node of the inventory has ENC data, so all count as having the same enc.role"
	for _, enc := range []bool{false, true} {
		p, err := Make(byRole("enc.role", schedule.Stage{Name: "half", Percent: 50 * percent}), racks(200, 0, enc))
		if err != nil || strings.Contains(warnings(p), want) == enc {
			t.Errorf("with ENC data %t: %v\n%s", enc, err, warnings(p))
		}
	}
}

// TestPlanNamesEveryStratumWithoutControl against counting by hand: large stages of a fleet in which one role is rare.
func TestPlanNamesEveryStratumWithoutControl(t *testing.T) {
	found := 0
	for dns := 50; dns < 60; dns++ {
		for size := 90 * percent; size < schedule.Hundred; size += percent / 2 {
			p, err := Make(byRole("facts.role", schedule.Stage{Name: "most", Percent: size}), racks(600, dns, false))
			if err != nil {
				t.Fatal(err)
			}
			s, taken := p.Stages[0], 0
			for _, c := range s.Certs {
				var i int
				if _, err := fmt.Sscanf(c, "n%d.", &i); err != nil {
					t.Fatal(err)
				}
				taken += map[bool]int{true: 1}[i < dns]
			}
			var want []Stratum
			if text := fmt.Sprintf("stage most: leaves no control in 1 strata, whose %d nodes are compared with nobody: dns (%d)", dns, dns); taken == dns {
				found++
				want = []Stratum{{"dns", dns}}
				if !strings.Contains(warnings(p), text) {
					t.Errorf("no %q in\n%s", text, warnings(p))
				}
			}
			if !slices.Equal(s.Bare, want) || s.Compared != s.Control {
				t.Fatalf("%s with %d of dns, %d taken: %+v", size, dns, taken, s)
			}
		}
	}
	if found == 0 {
		t.Error("no case in which a stratum is left without control")
	}
}
