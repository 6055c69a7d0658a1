package plan

import (
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/words"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// Request is what to plan: a schedule with all that it names, and the rollout it is for.
type Request struct {
	Name     string // of the rollout, which is its salt: it decides who comes first
	Track    string // nodes for which the ENC data name another environment are left out; "" leaves none out
	Path     string // of the schedule in the configuration
	Schedule schedule.Schedule
	Segments map[string]gate.Segment
	Policy   analyzer.Policy
	Policies gate.Policies
	Calendar schedule.Calendar
	Start    time.Time
	Run      time.Duration // between two runs of a node
	By       string        // attribute by which nodes are counted, "" for none
	List     bool          // certnames of every stage
	// Query answers PQL, nil where nobody can.
	Query func(pql string) (compose.Members, error)
}

// Power is the probability with which a stage is to see the effect that the plan names.
const Power = .9

// Plan is what a rollout would do.
type Plan struct {
	Rollout  string             `json:"rollout"`
	Nodes    int                `json:"nodes"`
	Holdback string             `json:"holdback"`
	Start    time.Time          `json:"start"`
	Stages   []Stage            `json:"stages"`
	Settling int                `json:"settling"` // nodes that come after the last stage
	Warnings []schedule.Warning `json:"warnings"`
	// Held are the certnames of Settling, if they are listed.
	Held []string `json:"settling_certnames,omitempty"`
}

// Stage is one stage of a plan.
type Stage struct {
	schedule.Times
	Segment string `json:"segment,omitempty"`
	Size    string `json:"size"`
	Of      int    `json:"of"`      // nodes of the segment
	New     int    `json:"new"`     // nodes that the stage adds
	Total   int    `json:"total"`   // nodes that have the change at its end
	Control int    `json:"control"` // nodes of the segment that do not have it then
	// Canaries are those of New that are compared with others, and Compared those of Control: of the nodes between which chance divided
	// (gate.Reached), those whose stratum has both. The exact test needs 50 of Compared.
	Canaries int `json:"canaries"`
	Compared int `json:"compared"`
	// Uneven are nodes of New in which earlier stages of other segments went further, or less far, than in most.
	Uneven int `json:"uneven,omitempty"`
	// Answers are those of Total that count for a certified pass of the stage.
	Answers int `json:"answers"`
	// Bare are strata in which the stage has nodes, of the others, and leaves no control.
	Bare []Stratum `json:"without_control,omitempty"`
	// Detects is the smallest share of nodes failing that the stop rule sees with Power; 1 is nothing at all.
	Detects float64 `json:"detects"`
	// Bound is the smallest share of Canaries with a failure that no node without the change has, such that the exact test on new
	// failures stops the rollout with Power by the end of the stage; 1 is nothing at all.
	Bound float64 `json:"bound"`
	// RulesOut is the share of failing nodes that Total nodes without a failure exclude, with 95 % confidence.
	RulesOut float64        `json:"rules_out"`
	Approval bool           `json:"approval"`
	Zone     string         `json:"time_zone,omitempty"`
	Domains  map[string]int `json:"domains,omitempty"` // new nodes by the value of Request.By
	Certs    []string       `json:"certnames,omitempty"`
}

// Make plans; nodes calls its argument once for every node.
func Make(r Request, nodes func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error) (*Plan, error) {
	f, err := newFleet(r)
	if err != nil {
		return nil, err
	}
	if err := nodes(func(certname, environment string, facts, trusted, enc map[string]any) error {
		return f.add(row{certname, environment, facts, trusted, enc})
	}); err != nil {
		return nil, err
	}
	if err := f.done(); err != nil {
		return nil, err
	}
	a, err := f.admit(r.Schedule, r.Name)
	if err != nil {
		return nil, err
	}
	p := &Plan{Rollout: r.Name, Nodes: len(f.nodes), Start: r.Start, Holdback: r.Schedule.HoldbackFor(len(f.nodes)).String()}
	p.stages(r, f, a)
	p.warn(r, f)
	return p, nil
}

func (p *Plan) stages(r Request, f *fleet, a *admissions) {
	p.Stages = make([]Stage, len(r.Schedule.Stages))
	for i, n := range f.nodes {
		if a.by[i] == len(p.Stages) {
			p.Settling++
			if r.List {
				p.Held = append(p.Held, n.certname)
			}
			continue
		}
		s := &p.Stages[a.by[i]]
		s.New++
		if r.By != "" {
			if s.Domains == nil {
				s.Domains = map[string]int{}
			}
			s.Domains[n.domain]++
		}
		if r.List {
			s.Certs = append(s.Certs, n.certname)
		}
	}
	total := 0
	spec := gate.Spec{Schedule: r.Schedule, Policy: r.Policy, Policies: r.Policies}
	pace := make([]schedule.Pace, len(p.Stages))
	for i, stage := range r.Schedule.Stages {
		s := &p.Stages[i]
		total += s.New
		s.Segment, s.Of, s.Total, s.Approval, s.Size = stage.Segment, a.sizes[i], total, stage.Approval, SizeOf(stage)
		f.compare(s, i, spec.PolicyOf(i), a)
		s.Detects = spec.PolicyOf(i).SmallestEffect(s.New, total, Power)
		s.Bound = spec.PolicyOf(i).SmallestBound(i, len(p.Stages), s.Canaries, s.Compared, Power)
		s.RulesOut = stats.ClopperPearsonUpper(0, total, .95)
		if stage.TimeZone != nil {
			s.Zone = stage.TimeZone.String()
		}
		pace[i] = PaceOf(stage, s.New, s.Of, len(f.nodes))
	}
	for i, t := range r.Schedule.Timeline(r.Calendar, r.Start, r.Run, pace) {
		s := &p.Stages[i]
		switch s.Times = t; {
		case s.Of == 0 && !s.empty(r.Schedule.Stages[i], i):
			s.Times = schedule.Times{Stage: t.Stage, Never: "segment " + s.Segment + " holds no node"}
		case i > 0 && p.Stages[i-1].Never != "" && s.Never == "":
			s.Times = schedule.Times{Stage: t.Stage, Never: schedule.AfterNever}
		}
	}
}

// empty says whether stage i is passed over because it is the rest of an order, and holds nobody.
func (s *Stage) empty(stage schedule.Stage, i int) bool { return s.Of == 0 && stage.Rest && i > 0 }

// SizeOf is the size of a stage in words.
func SizeOf(s schedule.Stage) string {
	if s.Nodes > 0 {
		return words.Count(s.Nodes, "node")
	}
	return s.Percent.String()
}

// The edges' default speed limit.
const (
	limitNodes = 10
	limitShare = 10
)

// HourlyLimit is how many nodes of a fleet the edges let through in an hour by default.
func HourlyLimit(fleet int) int { return max(limitNodes, fleet*limitShare/100) }

// PaceOf is how fast a stage fills: by its ramp, and by the edges' default limit, of which an hour's worth is saved up.
func PaceOf(s schedule.Stage, fresh, of, fleet int) schedule.Pace {
	flight := max(1, s.Ramp.InFlight.Of(of))
	limit := HourlyLimit(fleet)
	return schedule.Pace{
		Waves: (fresh + flight - 1) / flight,
		Limit: time.Duration(max(0, fresh-limit)) * time.Hour / time.Duration(limit),
		Skip:  fresh == 0,
	}
}
