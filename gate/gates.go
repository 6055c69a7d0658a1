package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// Gate is one named reason that a rollout may not go on now. A closed gate always says why, and where
// known when it is looked at next.
type Gate struct {
	Name   string    `json:"name"`
	Open   bool      `json:"open"`
	Reason string    `json:"reason"`
	Value  string    `json:"value,omitempty"`  // what it looks at, as Reason has it; "" where it is not known
	Limit  string    `json:"limit,omitempty"`  // what Value is compared with
	Source string    `json:"source,omitempty"` // who or what says so
	Next   time.Time `json:"next,omitzero"`    // when it may change by itself; else it is looked at whenever something is new
	Since  time.Time `json:"since,omitzero"`   // when it was first seen as it is, open or closed; the leader's status has it
}

func opened(name, format string, args ...any) Gate {
	return Gate{Name: name, Open: true, Reason: fmt.Sprintf(format, args...)}
}

func closed(name, source, format string, args ...any) Gate {
	return Gate{Name: name, Source: source, Reason: fmt.Sprintf(format, args...)}
}

// alwaysGates must be open for every step forward, whatever the phase.
func (s *stepper) alwaysGates() []Gate {
	return []Gate{s.haltGate(), s.freezeGate(), s.pauseGate(), s.delayGate(), s.sourcesGate(), s.edgesGate()}
}

// entryGates must be open for a stage to start.
func (s *stepper) entryGates(i int) []Gate {
	target := s.target(s.r.Spec.Schedule.Stages[i], s.r.Next)
	return append(s.alwaysGates(), s.approvalGate(i), s.windowGate(i), s.holdGate(), s.segmentGate(i),
		s.unprovenGate(s.r.Next, segments.None, target), s.blastGate(s.r.Next, segments.None, target))
}

func (s *stepper) haltGate() Gate {
	if s.w.Halt != "" {
		return closed(GateRestored, "leader", "%s", s.w.Halt).is(true, false)
	}
	return opened(GateRestored, "the store is not behind any edge").is(false, false)
}

func (s *stepper) startGate() Gate {
	if start := s.r.Spec.Schedule.Start; start != nil && s.w.Now.Before(start.NotBefore) {
		g := closed(GateStart, "schedule", "not before %s", start.NotBefore.Format(time.RFC3339)).is("", start.NotBefore)
		g.Next = start.NotBefore
		return g
	}
	if o := s.ahead(); o != "" {
		g := closed(GateStart, "track "+s.r.Spec.Track, "waits for %s, which is ahead of it on track %s", o, s.r.Spec.Track).is(o, s.r.Spec.Name)
		if s.r.Spec.Reverts != "" {
			g.Reason += fmt.Sprintf("; it undoes %s and nothing else, and never begins where another change has come since", s.r.Spec.Reverts)
		}
		return g
	}
	return opened(GateStart, "it is its turn").is(s.r.Spec.Name, s.r.Spec.Name)
}

func (s *stepper) flag() *flags.Rollout {
	if f := s.w.Flags.Rollouts[s.r.Spec.Name]; f != nil {
		return f
	}
	return &flags.Rollout{}
}

func (s *stepper) freezeGate() Gate {
	if s.w.Stops.Frozen() {
		return closed(GateFreeze, "flags/freeze", "%s", FreezeReason(s.w.Flags)).is(true, false)
	}
	if g, frozen := s.calendarFreeze(); frozen {
		return g.is(true, false)
	}
	return opened(GateFreeze, "nothing is frozen").is(false, false)
}

func (s *stepper) pauseGate() Gate {
	name := s.r.Spec.Name
	if _, paused := s.w.Stops.Pause[name]; !paused {
		return opened(GatePause, "not paused").is(false, false)
	}
	return closed(GatePause, "flags/"+name+"/pause", "%s", PauseReason(s.w.Flags, s.w.Stops, name)).is(true, false)
}

func (s *stepper) delayGate() Gate {
	seen := s.state.DelaySeen
	if seen == nil {
		return opened(GateDelay, "not delayed")
	}
	d := flags.ReadDelay(seen.Raw)
	source := "flags/" + s.r.Spec.Name + "/delay"
	if d.Endless {
		return closed(GateDelay, source, "%q is neither a time nor a duration: held with no end", d.Raw).is(d.Raw, "")
	}
	until := d.Until
	if until.IsZero() {
		until = seen.At.Add(d.For)
	}
	if s.w.Now.Before(until) {
		g := closed(GateDelay, source, "delayed until %s", until.UTC().Format(time.RFC3339)).is(d.Raw, until)
		g.Next = until
		return g
	}
	return opened(GateDelay, "the delay ended at %s", until.UTC().Format(time.RFC3339)).is(d.Raw, until)
}

func (s *stepper) sourcesGate() Gate {
	if !s.w.Sources.Fresh {
		reasons := s.w.Sources.Reasons
		if len(reasons) == 0 {
			reasons = []string{"no source has been read yet"}
		}
		return closed(GateSources, "PuppetDB, Prometheus", "%s", strings.Join(reasons, "; ")).is(s.w.Sources.Through, "")
	}
	return opened(GateSources, "reports are complete through %s", s.w.Sources.Through.UTC().Format(time.RFC3339)).is(s.w.Sources.Through, "")
}

func (s *stepper) approvalGate(i int) Gate {
	stage := s.r.Spec.Schedule.Stages[i]
	key := "flags/" + s.r.Spec.Name + "/approve/" + stage.Name
	who := "anybody" // who may
	if len(stage.Approvers) > 0 {
		who = strings.Join(stage.Approvers, ", ")
	}
	switch t := s.flag().Approve[stage.Name]; {
	case t == flags.Released || t == flags.Unset && s.state.Denied[stage.Name]:
		return closed(GateApproval, key, "stage %s was denied; that ends with an approval", stage.Name).is("denied", who)
	case t == flags.Unreadable:
		return closed(GateApproval, key, "the flag of stage %s cannot be read, so it neither approves nor denies", stage.Name).is("unreadable", who)
	case t == flags.Set && !s.approved(stage):
		by := approvedBy(s.flag().Said[stage.Name])
		if by == "" {
			by = "somebody who is not named (by=NAME)"
		}
		return closed(GateApproval, key, "stage %s was approved by %s, who is none of its approvers: %s", stage.Name, by, strings.Join(stage.Approvers, ", ")).is("approved by "+by, who)
	case t == flags.Set:
		return opened(GateApproval, "stage %s is approved", stage.Name).is("approved", who)
	case !stage.Approval:
		return opened(GateApproval, "stage %s needs no approval", stage.Name).is("", "")
	}
	return closed(GateApproval, key, "stage %s waits for an approval: sluice approve %s %s", stage.Name, s.r.Spec.Name, stage.Name).is("", who)
}

func (s *stepper) windowGate(i int) Gate {
	stage := s.r.Spec.Schedule.Stages[i]
	o, err := stage.Open(s.r.Spec.Windows, s.w.Now)
	all := strings.Join(stage.Windows, ", ")
	switch {
	case err != nil:
		return closed(GateWindow, "schedule", "%v", err).is("", all)
	case !o.Open:
		g := closed(GateWindow, "schedule", "outside %s", all).is("", all)
		if g.Next = o.Next; !o.Next.IsZero() {
			g.Reason += " until " + o.Next.Format(time.RFC3339)
		}
		return g
	case o.Window != "":
		return opened(GateWindow, "inside %s", o.Window).is(o.Window, all)
	}
	return opened(GateWindow, "stage %s may move at any time", stage.Name)
}

func (s *stepper) holdGate() Gate {
	for _, h := range s.r.Held {
		if h.Err != "" {
			what := "hold " + h.ID
			if h.Key != "" {
				what = h.Key
			}
			return closed(GateHold, h.key(), "%s cannot be read, so it holds everything: %s", what, h.Err).is(what, "")
		}
		if h.Until.IsZero() || s.w.Now.Before(h.Until) {
			g := closed(GateHold, h.key(), "hold %s of %s on %s: %s", h.ID, h.By, h.Selector, h.Comment).is("hold "+h.ID, h.Until)
			if g.Next = h.Until; h.Until.IsZero() {
				g.Reason += "; it has no end: sluice hold expire " + h.ID
			}
			return g
		}
	}
	return opened(GateHold, "%s", s.keptText("no hold matches the nodes that come next")).is("none", "")
}

// segmentGate keeps a stage from starting that would admit nobody: an empty stage proves nothing.
func (s *stepper) segmentGate(i int) Gate {
	stage := s.r.Spec.Schedule.Stages[i]
	switch p := s.r.Next; {
	case p.Err != "":
		return closed(GateSegment, "segments", "%s of stage %s is not known: %s", segmentName(stage), stage.Name, p.Err).is("", 1)
	case len(p.Positions) == 0 && len(p.Kept) > 0 && i == 0:
		return closed(GateSegment, "caps", "%s of %s %s held, cut out or pinned, and stage %s is the first: nothing could be shown by it", all(len(p.Kept), "node"), segmentName(stage), agree(len(p.Kept), "is", "are"), stage.Name).is(0, 1)
	case len(p.Positions) == 0 && len(p.Kept) > 0:
		return opened(GateSegment, "%s of %s %s held, cut out or pinned: stage %s is passed over, and %s when %s back", all(len(p.Kept), "node"), segmentName(stage), agree(len(p.Kept), "is", "are"), stage.Name, agree(len(p.Kept), "it comes", "they come"), agree(len(p.Kept), "it is", "they are")).is(0, 0)
	case s.nobodyLeft(i):
		return opened(GateSegment, "%s holds no node of track %s, as the rest of an order may: stage %s is passed over", segmentName(stage), s.r.Spec.Track, stage.Name).is(0, 0)
	case len(p.Positions) == 0 && stage.Rest && i == 0:
		return closed(GateSegment, "segments", "%s holds no node of track %s, and stage %s is the first: nothing could be shown by it", segmentName(stage), s.r.Spec.Track, stage.Name).is(0, 1)
	case len(p.Positions) == 0:
		return closed(GateSegment, "segments", "%s of stage %s holds no node of track %s", segmentName(stage), stage.Name, s.r.Spec.Track).is(0, 1)
	case i == 0 && p.fresh(s.target(stage, p)) == 0:
		return closed(GateSegment, "schedule", "stage %s would admit nobody: the holdback leaves no node of %s", stage.Name, segmentName(stage)).is(0, 1)
	default:
		return opened(GateSegment, "%s holds %s", segmentName(stage), count(len(p.Positions), "node")).is(len(p.Positions), 1)
	}
}

// rampGate lets more nodes in as admitted ones show the change, and none beside an open question.
func (s *stepper) rampGate() Gate {
	c := s.r.Verdict.Counts
	if s.r.Current.Err != "" {
		return closed(GateRamp, "segments", "who is in the stage is not known: %s", s.r.Current.Err)
	}
	if why := s.departed(); why != "" {
		return closed(GateRamp, "puppetdb", "%s", why)
	}
	flying, most := max(0, c.Live-c.Exposed), s.inFlight()
	if why := unresolved(&s.r.Verdict); why != "" && !s.allKept() {
		if gone := s.gone(); c.Admitted == 0 && gone > 0 {
			why += fmt.Sprintf("; %d of the nodes that it had when it last admitted some have left PuppetDB's inventory: promote --now goes on all the same", gone)
		}
		return closed(GateRamp, "analyzer", "an open question among %s: %s", count(c.Admitted, "admitted node"), why).is(flying, most)
	}
	if room, step := s.room(), s.leastStep(); room < step {
		return closed(GateRamp, "analyzer", "%s %s not run yet, at most %d may be in flight: goes on when %d more may be admitted at once", count(c.Live-c.Exposed, "admitted node"), agree(c.Live-c.Exposed, "has", "have"), most, step).is(flying, most)
	}
	if at := s.nextStep(); !at.IsZero() {
		g := closed(GateRamp, "leader", "%d steps have been taken: from here on one every %v minutes", len(s.state.Admissions), slowStep.Minutes())
		g.Next = at
		return g.is(flying, most)
	}
	return opened(GateRamp, "%d of %s %s run the change", c.Exposed, count(c.Live, "live admitted node"), agree(c.Live, "has", "have")).is(flying, most)
}

// allKept says whether the judge was asked about nobody because people keep everybody who was admitted: then there is no question that more
// nodes could come beside, and those who come back are the first again. Whoever has left the inventory is not kept: nobody saw what the change
// did there.
func (s *stepper) allKept() bool {
	v := &s.r.Verdict
	return v.Counts.Admitted == 0 && s.gone() <= 0 && len(v.Checks) > 0 && v.Result != analyzer.Fail &&
		slices.ContainsFunc(s.state.Caps, func(c Cap) bool { return c.Kind() != CapAhead && !c.Over() })
}

// gone counts the nodes of the current stage that have left the inventory since it last admitted some.
func (s *stepper) gone() int {
	st := &s.state.Stages[s.state.Current()]
	return st.Admitted - (s.r.Current.present(st.Threshold) - st.Came.Admitted)
}

// Unresolved is what keeps more nodes from being admitted by the rollout that has the verdict, "" for nothing.
func Unresolved(v *analyzer.Verdict) string { return unresolved(v) }

// unresolved names what keeps more nodes from being admitted: silent nodes, or a failure that the judge does not explain.
// A node that failed in the same way before is explained; one that recovered is, too; and among many nodes, as many as fail or
// fall silent without the change.
func unresolved(v *analyzer.Verdict) string {
	heard := func(c analyzer.Check) bool { return c.Name == "silence" && c.Result == analyzer.Pass }
	if v.Counts.Silent > 0 && !slices.ContainsFunc(v.Checks, heard) {
		return fmt.Sprintf("%d silent: %s", v.Counts.Silent, strings.Join(v.Counts.SilentNodes, ", "))
	}
	asked := 0
	for _, c := range v.Checks {
		if c.Name != "compile" && c.Name != "new_failures" {
			continue
		}
		asked++
		if c.Result != analyzer.Pass {
			return c.Name + ": " + c.Reason
		}
	}
	if asked == 0 {
		return "the judge has not answered: " + v.Reason
	}
	return ""
}

func (s *stepper) coverageGate() Gate {
	c, p := s.r.Verdict.Counts, s.r.Spec.PolicyOf(s.state.Current())
	want := p.Coverage
	if c.Live == 0 {
		return closed(GateCoverage, "analyzer", "no live admitted node: %s", s.r.Verdict.Reason).is("", want)
	}
	share := float64(c.Exposed) / float64(c.Live)
	if share < want {
		return closed(GateCoverage, "analyzer", "%d of %s %s run the change, %.4g %% needed; not yet: %s", c.Exposed, count(c.Live, "live admitted node"), agree(c.Live, "has", "have"), 100*want, strings.Join(c.Unexposed, ", ")).is(share, want)
	}
	if why := s.departed(); why != "" {
		return closed(GateCoverage, "puppetdb", "%s", why).is(share, want)
	}
	if why := s.tooFew(); why != "" {
		return closed(GateCoverage, "schedule", "%s", why).is(c.Exposed, s.r.Spec.Schedule.Stages[s.state.Current()].MinNodes)
	}
	return opened(GateCoverage, "%d of %s %s run the change", c.Exposed, count(c.Live, "live admitted node"), agree(c.Live, "has", "have")).is(share, want)
}

func (s *stepper) bakeGate() Gate {
	i := s.state.Current()
	st, bake := s.state.Stages[i], s.r.Spec.Schedule.Stages[i].Bake
	from := st.Full
	if back := s.state.returned(); back.After(from) {
		from = back
	} else if st.Skipped {
		return opened(GateBake, "stage %s added nobody", st.Name)
	}
	if until := from.Add(time.Duration(bake.Time)); s.w.Now.Before(until) {
		g := closed(GateBake, "schedule", "bakes for %s, until %s", bake.Time, until.UTC().Format(time.RFC3339)).is(from, until)
		g.Next = until
		return g
	}
	if runs := s.r.Verdict.Counts.Runs; runs < bake.Runs {
		return closed(GateBake, "schedule", "the node with the fewest has %s of the change, %d needed", count(runs, "run"), bake.Runs).is(runs, bake.Runs)
	}
	return opened(GateBake, "baked for %s and %s", bake.Time, count(bake.Runs, "run")).is(s.r.Verdict.Counts.Runs, bake.Runs)
}

func (s *stepper) verdictGate() Gate {
	v := s.r.Verdict
	stage := s.r.Spec.Schedule.Stages[s.state.Current()]
	fell, want := v.Result.String(), analyzer.Pass.String()+" ("+cmp.Or(stage.Pass, schedule.PassClean)+")"
	if v.Grade != "" {
		fell += " (" + string(v.Grade) + ")"
	}
	switch {
	case v.Result != analyzer.Pass:
		return closed(GateVerdict, "analyzer", "%s: %s", v.Result, v.Reason).is(fell, want)
	case v.Evidence == "":
		return closed(GateVerdict, "analyzer", "a pass without evidence does not count").is(fell, want)
	case stage.Pass == schedule.PassCertified && v.Grade != analyzer.Certified:
		return closed(GateVerdict, "analyzer", "the stage needs a certified pass, this one is %s: %s", v.Grade, v.Reason).is(fell, want)
	}
	return opened(GateVerdict, "%s (%s): %s", v.Result, v.Grade, v.Reason).is(fell, want)
}

// growthGate bounds what a clean pass admits: a few times the nodes that have shown the change.
func (s *stepper) growthGate(next int) Gate {
	stage := s.r.Spec.Schedule.Stages[next]
	newly := s.r.Next.fresh(s.target(stage, s.r.Next))
	most := int(s.r.Spec.Schedule.Growth * float64(s.r.Verdict.Counts.Exposed))
	if s.r.Verdict.Grade == analyzer.Certified || newly <= most {
		return opened(GateGrowth, "stage %s adds %s", stage.Name, count(newly, "node")).is(newly, most)
	}
	if s.approved(stage) {
		return opened(GateGrowth, "stage %s adds %s, which a person approved", stage.Name, count(newly, "node")).is(newly, most)
	}
	if live := s.r.Verdict.Counts.Live; newly <= int(s.r.Spec.Schedule.Growth*float64(live)) {
		return closed(GateGrowth, "schedule", "stage %s adds %s, a clean pass of %s admits at most %d: opens when more of %s have run the change", stage.Name, count(newly, "node"), count(s.r.Verdict.Counts.Exposed, "exposed node"), most, count(live, "live admitted node")).is(newly, most)
	}
	return closed(GateGrowth, "schedule", "stage %s adds %s, a clean pass of %s admits at most %d: approve the stage, or put one between", stage.Name, count(newly, "node"), count(s.r.Verdict.Counts.Exposed, "exposed node"), most).is(newly, most)
}

// stragglersGate keeps a settling rollout from completing while live admitted nodes have not run the change, or the verdict is no pass. An
// order that is given while it settles overrules one that is inconclusive, once: some never clear, and the track would wait for good.
func (s *stepper) stragglersGate(ordered bool) Gate {
	v := s.r.Verdict
	c := v.Counts
	switch {
	case c.Admitted == 0 || c.Live == 0:
		return closed(GateCoverage, "analyzer", "nothing is known of the admitted nodes: %s", v.Reason).is("", 1.)
	case c.Exposed < c.Live:
		return closed(GateCoverage, "analyzer", "%d of %s %s yet to run the change: %s", c.Live-c.Exposed, count(c.Live, "live node"), agree(c.Live, "has", "have"), strings.Join(c.Unexposed, ", ")).is(float64(c.Exposed)/float64(c.Live), 1.)
	case c.Silent > 0:
		return closed(GateCoverage, "analyzer", "%s %s silent: %s", count(c.Silent, "node"), agree(c.Silent, "is", "are"), strings.Join(c.SilentNodes, ", ")).is(c.Silent, 0)
	case v.Result != analyzer.Pass && !(ordered && v.Result == analyzer.Inconclusive):
		return closed(GateVerdict, "analyzer", "%s: %s%s", v.Result, v.Reason, map[bool]string{true: "; promote --now completes the rollout all the same"}[v.Result == analyzer.Inconclusive]).is(v.Result, analyzer.Pass)
	case s.departed() != "":
		return closed(GateCoverage, "puppetdb", "%s", s.departed())
	}
	return opened(GateCoverage, "%s %s run the change", all(c.Live, "live node"), agree(c.Live, "has", "have")).is(1., 1.)
}

// overdue says which deadline has passed, and what is to follow.
func (s *stepper) overdue() (late, then string) {
	i := s.state.Current()
	if i < 0 {
		return "", ""
	}
	sched := s.r.Spec.Schedule
	if d := sched.Stages[i].Deadline; d.After > 0 && s.state.Phase == Running && s.w.Now.After(s.state.Stages[i].Since.Add(time.Duration(d.After))) {
		return fmt.Sprintf("stage %s is not done after %s", sched.Stages[i].Name, d.After), d.Then
	}
	if d := sched.Deadline; d.After > 0 && s.w.Now.After(s.state.Stages[0].Since.Add(time.Duration(d.After))) {
		return fmt.Sprintf("the rollout is not done after %s", d.After), d.Then
	}
	return "", ""
}

// due is when the first of the deadlines that have passed did so.
func (s *stepper) due() time.Time {
	i := s.state.Current()
	sched := s.r.Spec.Schedule
	due := s.state.Stages[i].Since.Add(time.Duration(sched.Stages[i].Deadline.After))
	if d := sched.Deadline.After; d > 0 {
		if all := s.state.Stages[0].Since.Add(time.Duration(d)); sched.Stages[i].Deadline.After <= 0 || all.Before(due) {
			due = all
		}
	}
	return due
}

// approvedSince says whether a person approved a stage after a time: the approval by which the stage was entered does not
// answer its deadline, too.
func (s *stepper) approvedSince(stage schedule.Stage, t time.Time) bool {
	a, ok := s.state.Approvals[stage.Name]
	return ok && s.approved(stage) && a.At.After(t)
}

func (s *stepper) deadlineGate() Gate {
	i := s.state.Current()
	stage := s.r.Spec.Schedule.Stages[i]
	late, _ := s.overdue()
	since, due := s.state.Stages[i].Since, s.due()
	if !due.After(since) {
		due = time.Time{} // none is set
	}
	switch {
	case late == "":
		return opened(GateDeadline, "within %s", stage.Deadline.After).is(since, due)
	case s.approvedSince(stage, due):
		return opened(GateDeadline, "%s, and a person approved since that it goes on", late).is(since, due)
	}
	return closed(GateDeadline, "schedule", "%s: holds until a person decides (sluice approve %s %s, or sluice backout %s)", late, s.r.Spec.Name, stage.Name, s.r.Spec.Name).is(since, due)
}
