package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/segments"
)

// Explain writes what this edge answers for a node, and every reason for it, for a person. It reads the files that lookups
// read and asks the site's ENC; it needs neither Consul nor sluiced. An edge that cannot answer is explained too: the
// error is only for what keeps Explain itself from saying so.
func (e *Edge) Explain(ctx context.Context, w io.Writer, certname string) error {
	x := &explainer{edge: e, w: w, certname: certname}
	var stateErr error
	x.state, stateErr = e.readState()
	x.theEdge()
	if stateErr != nil {
		x.linef(1, "unreadable: %v", stateErr)
	}
	x.linef(0, "")
	x.linef(0, "node %s", certname)
	x.theNode(ctx)
	return x.err
}

// explainer writes lines and keeps the first error of the writer.
type explainer struct {
	edge     *Edge
	w        io.Writer
	certname string
	state    enc.State
	err      error
}

func (x *explainer) linef(depth int, format string, args ...any) {
	line := strings.Repeat("  ", depth) + fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(x.w, line); err != nil && x.err == nil {
		x.err = err
	}
}

func (x *explainer) theNode(ctx context.Context) {
	u, answer, err := x.edge.Answer(ctx, x.certname)
	x.upstream(u)
	if err != nil {
		x.linef(1, "answer: none, sluice-enc exits 1: %v", err)
		x.linef(1, "what the agent does: it falls back to its cached catalog")
		return
	}
	local, err := lookup.Open(x.edge.Config.StateDir)
	if err != nil {
		x.linef(1, "answer: none, sluice-enc exits 1: %v", err)
		return
	}
	if u.ExitCode != 0 {
		x.linef(1, "answer: upstream's failure is passed through")
		return
	}
	if answer.Track == "" {
		x.linef(1, "track: none, as %s", whyNoTrack(u))
		x.linef(1, "answer: upstream's answer, byte for byte")
		return
	}
	x.linef(1, "track: %s, as %s", answer.Track, whyTrack(u))
	for _, a := range answer.Rollouts {
		x.rollout(local, a)
	}
	x.answer(local, answer)
}

func (x *explainer) upstream(u Upstreamed) {
	c := x.edge.Config.Upstream
	switch {
	case c.Command == "":
		x.linef(1, "upstream: no site ENC is configured")
	case u.ExitCode != 0:
		x.linef(1, "upstream: %s failed with exit code %d", c.Command, u.ExitCode)
	case u.Stale:
		x.linef(1, "upstream: no answer within %s; its last good answer is used: %s", c.Timeout, x.edge.lastGood(x.certname))
	case len(u.Out) == 0:
		x.linef(1, "upstream: %s gave no answer", c.Command)
	default:
		x.linef(1, "upstream: %s answered", c.Command)
	}
}

func whyTrack(u Upstreamed) string {
	if u.Environment != "" {
		return "upstream says environment " + u.Environment
	}
	return "upstream names no environment, and the node is in the track's set of members"
}

func whyNoTrack(u Upstreamed) string {
	if u.Environment != "" {
		return "upstream says environment " + u.Environment + ", which is no track"
	}
	return "upstream names no environment, and the node is in no track's set of members"
}

// rollout says how one rollout decided: position, every stage, every cap, the pin, and what the published document would
// have said where the edge holds a step back.
func (x *explainer) rollout(local *lookup.Edge, a segments.Admission) {
	here, published := local.Document.Rollout(a.Rollout), x.state.Published.Rollout(a.Rollout)
	x.linef(1, "rollout %s: %s: %s", a.Rollout, map[bool]string{true: "admitted", false: "not admitted"}[a.Admitted], a.Reason)
	if here == nil {
		return
	}
	x.linef(2, "change: %s; position %s, limit %s%s%s", changeOf(here), a.Position, percentOf(a.Limit), from(" by stage ", a.Stage), from(", lowered by cap ", a.Cap))
	if published == nil {
		x.linef(2, "the published document has this rollout no more: it is being taken to its end here, within the speed limit")
	}
	for _, s := range here.Stages {
		want := s.Threshold
		if published != nil {
			want = thresholdOf(published.Stages, s.Name)
		}
		x.linef(2, "from stage %s on: %s, %s%s", s.Name, x.member(local, s.Set), percentOf(s.Threshold), clampedFrom(s.Threshold, want))
	}
	for _, c := range here.Caps {
		x.linef(2, "cap %s: %s, no further than %s", c.ID, x.member(local, c.Set), percentOf(c.Limit))
	}
	for _, p := range local.Document.Pins {
		if p.Certname == x.certname && (p.Rollout == "" || p.Rollout == a.Rollout) {
			x.linef(2, "pin: to %s", p.To)
		}
	}
	x.asPublished(local, a)
}

// asPublished says what the leader's document would answer, where that is something else.
func (x *explainer) asPublished(local *lookup.Edge, a segments.Admission) {
	other := local.With(x.state.Published)
	d, err := segments.Decide(&x.state.Published, local.Stops, x.trackOf(a.Rollout), x.certname, other.InSet)
	if err != nil {
		x.linef(2, "what the published document says cannot be told: %v", err)
	}
	for _, p := range d.Rollouts {
		if p.Rollout == a.Rollout && p.Admitted && !a.Admitted {
			x.linef(2, "the published document admits this node; here it waits for the speed limit or a stop (see \"waits\" above)")
		}
	}
}

func (x *explainer) trackOf(rollout string) string {
	if r := x.state.Published.Rollout(rollout); r != nil {
		return r.Track
	}
	return ""
}

// member says whom a stage or a cap is for, and whether that includes this node.
func (x *explainer) member(local *lookup.Edge, set string) string {
	if set == "" {
		return "everyone on the track"
	}
	path := filepath.Join(x.edge.Config.StateDir, lookup.SetsDir, set)
	in, err := local.InSet(set, segments.Fingerprint(x.certname))
	switch {
	case err != nil:
		return fmt.Sprintf("members of %s, which cannot be read: %v", path, err)
	case in:
		return "a member of " + path
	}
	return "not a member of " + path
}

func (x *explainer) answer(local *lookup.Edge, a lookup.Answer) {
	baseline := local.Document.Track(a.Track).Baseline
	why := "the candidate of the rollout that admits it"
	switch {
	case a.Missing != "":
		why = fmt.Sprintf("the baseline, as %s is not in %s on this puppetserver", a.Missing, x.edge.Config.EnvironmentPath)
	case a.Environment == baseline && local.Stops.Baseline:
		why = "the baseline, by the local file " + filepath.Join(x.edge.Config.StateDir, lookup.BaselineFile)
	case a.Environment == baseline:
		why = "the baseline of the track"
	}
	x.linef(1, "environment: %s", a.Environment)
	x.linef(1, "why: %s", why)
	if len(a.Parameters) == 0 {
		return
	}
	params, err := json.Marshal(a.Parameters)
	if err != nil {
		x.err = err
		return
	}
	x.linef(1, "parameters.sluice: %s", params)
}

func changeOf(r *segments.Rollout) string {
	if r.Candidate != "" {
		return "environment " + r.Candidate
	}
	return "parameters " + strings.Join(enc.SortedKeys(r.Parameters), ", ")
}

func percentOf(t segments.Threshold) string {
	if t == segments.All {
		return "100 %"
	}
	return fmt.Sprintf("%.6g %% (%s)", 100*t.Share(), t)
}

func thresholdOf(stages []segments.Stage, name string) segments.Threshold {
	for _, s := range stages {
		if s.Name == name {
			return s.Threshold
		}
	}
	return segments.None
}

func clampedFrom(here, published segments.Threshold) string {
	if !here.Less(published) {
		return ""
	}
	return ", published " + percentOf(published)
}

func from(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}
