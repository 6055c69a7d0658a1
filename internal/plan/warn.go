package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/words"
)

// coarse is the effect above which a stage counts as too small to show anything.
const coarse = .5

// warn collects what a person should know before the rollout starts.
func (p *Plan) warn(r Request, f *fleet) {
	s, held := r.Schedule, r.Schedule.HoldbackFor(p.Nodes)
	s.Holdback = &held
	p.Warnings = append([]schedule.Warning{}, s.Lint(r.Path, r.Calendar.Windows, r.Start)...)
	for i := range p.Stages {
		p.warnStage(r, i)
	}
	if unknown := f.strata.unknown(f.seenENC); len(unknown) > 0 {
		p.Warnings = append(p.Warnings, schedule.Warning{Text: fmt.Sprintf("no node of the inventory has ENC data, so all count as having the same %s: whether a stratum is left without control is not known",
			strings.Join(unknown, ", "))})
	}
	p.warnOverlap(r, f)
}

func (p *Plan) add(stage, format string, args ...any) {
	p.Warnings = append(p.Warnings, schedule.Warning{Text: "stage " + stage + ": " + fmt.Sprintf(format, args...)})
}

func (p *Plan) warnStage(r Request, i int) {
	s, stage, last := p.Stages[i], r.Schedule.Stages[i], i == len(p.Stages)-1
	before := s.Total - s.New
	switch {
	case s.Of == 0 && i > 0 && stage.Segment == r.Schedule.Stages[i-1].Segment: // said already
	case s.empty(stage, i):
		p.add(s.Stage, "segment %s, the rest of an order, holds no node: it is passed over", s.Segment)
	case s.Of == 0:
		p.add(s.Stage, "segment %s holds no node: the rollout stands still here", s.Segment)
	case s.New == 0 && i == 0:
		p.add(s.Stage, "admits nobody: the rollout does not begin")
	case s.New == 0:
		p.add(s.Stage, "adds nobody: earlier stages have all its nodes, so it is skipped")
	case min(s.Detects, s.Bound) > coarse && !last:
		p.add(s.Stage, "too small to show much: with %s only a fault on %.0f%% of the nodes is seen with %.0f%% probability", words.Count(s.Total, "node"), 100*min(s.Detects, s.Bound), 100*Power)
	}
	if stage.MinNodes > s.Total {
		p.add(s.Stage, "needs %d nodes that ran the change, and only %d have it by then: it cannot end", stage.MinNodes, s.Total)
	}
	if most := int(r.Schedule.Growth * float64(before)); before > 0 && s.New > most && !stage.Approval && r.Schedule.Stages[i-1].Pass != schedule.PassCertified {
		p.add(s.Stage, "adds %s, a clean pass of %d admits at most %d (growth %g): it waits for an approval", words.Count(s.New, "node"), before, most, r.Schedule.Growth)
	}
	p.warnControl(s, r, i)
	p.warnUneven(s)
	if limit := HourlyLimit(p.Nodes); s.New > limit {
		p.add(s.Stage, "adds %d nodes, the edges let %d an hour through by default: it takes %s at least", s.New, limit, span(PaceOf(stage, s.New, s.Of, p.Nodes).Limit))
	}
	p.warnTimes(s, stage)
}

func (p *Plan) warnTimes(s Stage, stage schedule.Stage) {
	if s.Of == 0 {
		return // said already
	}
	if s.Never == schedule.AfterNever { // the stage that does not end is named, and the plan shows it of the others
		return
	}
	if s.Never != "" {
		p.add(s.Stage, "does not end: %s", s.Never)
		return
	}
	if took := s.Expected.End.Sub(s.Expected.Begin); stage.Deadline.After > 0 && took > time.Duration(stage.Deadline.After) {
		p.add(s.Stage, "is expected to take %s, longer than its deadline of %s", span(took), stage.Deadline.After)
	}
}

// span writes a time to the minute.
func span(d time.Duration) string {
	return model.Duration(max(d, time.Minute).Round(time.Minute)).String()
}

// warnOverlap tells of segments that share nodes. The first stage's is left out: canaries are part of something else.
func (p *Plan) warnOverlap(r Request, f *fleet) {
	first := r.Schedule.Stages[0].Segment
	for a := range f.segments {
		for b := range a {
			if f.segments[a] == first || f.segments[b] == first {
				continue
			}
			both := 0
			for _, n := range f.nodes {
				if n.in[a] && n.in[b] {
					both++
				}
			}
			if both > 0 {
				p.Warnings = append(p.Warnings, schedule.Warning{Text: fmt.Sprintf("segments %s and %s overlap in %s", f.segments[b], f.segments[a], words.Count(both, "node"))})
			}
		}
	}
}
