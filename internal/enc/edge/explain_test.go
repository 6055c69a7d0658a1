package edge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/segments"
)

// explained is what explain prints, with the store unreachable all along: it works offline.
func (s *server) explained(certname string) string {
	s.Helper()
	s.down = true
	defer func() { s.down = false }()
	var text strings.Builder
	if err := s.Explain(s.Context(), &text, certname); err != nil {
		s.Fatal(err)
	}
	return text.String()
}

func (s *server) explains(certname string, want ...string) {
	s.Helper()
	text := s.explained(certname)
	for _, w := range want {
		if !strings.Contains(text, w) {
			s.Errorf("%q is not in\n%s", w, text)
		}
	}
}

// Each rule of the precedence, and each thing that can be wrong, has its sentence.
func TestExplainNamesTheRuleThatDecided(t *testing.T) {
	in := segments.NewSet([]string{"on"})
	out := segments.NewSet([]string{"other"})
	stage := func(set segments.Set, limit segments.Threshold) segments.Stage {
		return segments.Stage{Name: "canary", Set: set.Digest, Threshold: limit}
	}
	for name, c := range map[string]struct {
		change func(*segments.Document)
		after  func(*server)
		want   []string
	}{
		"admitted": {func(d *segments.Document) { d.Rollouts[0].Stages = []segments.Stage{stage(in, segments.All)} }, nil,
			[]string{"rollout ntp: admitted: position below the threshold", "by stage canary", "a member of", in.Digest, "environment: production_new", "the candidate of the rollout"}},
		"not a member": {func(d *segments.Document) { d.Rollouts[0].Stages = []segments.Stage{stage(out, segments.All)} }, nil,
			[]string{"not admitted: in no admitted stage", "not a member of", "environment: production\n", "the baseline of the track"}},
		"threshold": {func(d *segments.Document) { d.Rollouts[0].Stages = []segments.Stage{stage(in, segments.None)} }, nil,
			[]string{"not admitted: position not below the threshold", "0 %"}},
		"cap": {func(d *segments.Document) {
			d.Rollouts[0].Caps = []segments.Cap{{ID: "hold-fra1", Set: in.Digest, Limit: segments.None}, {ID: "hold-ams1", Set: out.Digest, Limit: segments.None}}
		}, nil, []string{"held back by a cap", "lowered by cap hold-fra1", "cap hold-fra1: a member of", "cap hold-ams1: not a member of"}},
		"pin": {func(d *segments.Document) { d.Pins = []segments.Pin{{Certname: "on", To: segments.ToBaseline}} }, nil,
			[]string{"not admitted: pinned to baseline", "pin: to baseline"}},
		"backed out by a flag": {nil, func(s *server) { s.write("rendered/flags", "\"ntp/backout\" \"true\"\nend\n", 0o644); s.accept() },
			[]string{"stop: ntp is backed out, since generation 1", "not admitted: backed out"}},
		"local baseline file": {nil, func(s *server) { s.write("state/baseline", "", 0o644) },
			[]string{"local file: ", "every node that asks here gets baseline", "not admitted: local baseline file", "by the local file"}},
		"local stop file": {nil, func(s *server) { s.write("state/stop", "", 0o644) }, []string{"nothing goes forward here"}},
		"environment is missing": {nil, func(s *server) { _ = os.RemoveAll(s.dir + "/environments/production_new") },
			[]string{"admitted: position", "production_new is not in", "environment: production\n"}},
		"forced": {nil, func(s *server) { s.write("rendered/flags", "\"force\" \"1\"\nend\n", 0o644); s.accept() },
			[]string{"forced: a person let generation 1 past the speed limit"}},
		"refused": {nil, func(s *server) { s.write("rendered/manifest", "{}", 0o644); s.accept() }, []string{"refused: the manifest does not begin", "generation 1 of epoch e"}},
		"a set is lost": {nil, func(s *server) { _ = os.Remove(filepath.Join(s.Config.StateDir, lookup.SetsDir, in.Digest)) },
			[]string{"answer: none, sluice-enc exits 1", in.Digest}},
		"a torn state": {nil, func(s *server) { s.write("state/"+stateFile, "{", 0o644) },
			[]string{"unreadable: ", stateFile, "admitted: position"}},
		"parameters": {func(d *segments.Document) {
			d.Rollouts[0].Candidate, d.Rollouts[0].Parameters = "", map[string]any{"hardening": true}
		}, nil, []string{"change: parameters hardening", `parameters.sluice: {"hardening":true}`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.write("site/on", onTrack, 0o644)
			s.putSet(in)
			s.putSet(out)
			d := document(1, stage(in, segments.All))
			d.Sets[in.Digest], d.Sets[out.Digest] = 1, 1
			if c.change != nil {
				c.change(&d)
			}
			if st := s.publish(d); st.Refused != "" {
				t.Fatal(st.Refused)
			}
			if c.after != nil {
				c.after(s)
			}
			s.explains("on", append(c.want, "edge puppet1", s.Config.Upstream.Command)...)
		})
	}
}

// Where the edge holds a step back, explain says what the leader wrote, what is in force, and what it waits for.
func TestExplainShowsTheClamp(t *testing.T) {
	s := newServer(t)
	now := time.Date(2027, 1, 31, 8, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	two := 2.0
	s.Config.Limit = Limit{Nodes: &two, Share: "0%"}
	s.write("site/on", onTrack, 0o644)
	with := func(g uint64, th segments.Threshold) segments.Document {
		d := document(g, segments.Stage{Name: "all", Threshold: th})
		d.Tracks[0].Nodes = 1000
		return d
	}
	s.publish(with(1, segments.None))
	now = now.Add(30 * time.Minute)
	s.publish(with(2, segments.All))
	s.explains("on", "waits: ntp stage all: at 0.2 % of 1000 nodes, published 100 %", "0.2 % (", "published 100 %",
		"the larger of 2 nodes and 0 % of the fleet per hour; 0 nodes may go forward now",
		"the published document admits this node; here it waits", "environment: production\n")
}

func TestExplainWithoutAnAnswer(t *testing.T) {
	s := newServer(t)
	s.explains("on", "not ready: accept has not run here yet", "answer: none, sluice-enc exits 1", lookup.ErrNotReady.Error())
	s.write("site/off", offTrack, 0o644)
	s.write("site/silent", silent, 0o644)
	s.publish(document(1))
	s.explains("off", "track: none, as upstream says environment development, which is no track", "byte for byte")
	s.explains("silent", "track: none, as upstream names no environment")
	s.explains("unknown", "failed with exit code 7", "upstream's failure is passed through")
}
