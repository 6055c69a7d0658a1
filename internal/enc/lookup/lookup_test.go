package lookup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// site is a state directory with one environment rollout that admits the members of a set, and the
// environments of a puppetserver.
type site struct {
	*testing.T
	dir     string
	members segments.Set
	a       Admissions
}

func newSite(t *testing.T) *site {
	dir := t.TempDir()
	s := &site{T: t, dir: dir, members: segments.NewSet([]string{"one", "two", "three"})}
	s.a = Admissions{EnvironmentPath: filepath.Join(dir, "environments"), Document: segments.Document{
		Format: segments.Format, Epoch: "e", Generation: 1, Sets: map[string]int{s.members.Digest: s.members.Count},
		Tracks: []segments.Track{
			{Name: "other", Baseline: "other"}, // publishes no set: nobody is on it by certname
			{Name: "production", Baseline: "old", Members: s.members.Digest, Nodes: 3, Parameters: map[string]any{"z": 1, "a": "b", "gone": nil}},
		},
		Rollouts: []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "new", Stages: []segments.Stage{{Name: "all", Threshold: segments.All}}}},
	}}
	for _, env := range []string{"old", "new"} {
		s.write("environments/"+env+"/environment.conf", nil)
	}
	s.write(SetsDir+"/"+s.members.Digest, s.members.Data)
	s.write(StopsFile, []byte("{}"))
	return s
}

func (s *site) write(name string, data []byte) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *site) open() *Edge {
	s.Helper()
	s.write(AdmissionsFile, marshal(s, s.a))
	e, err := Open(s.dir)
	if err != nil {
		s.Fatal(err)
	}
	return e
}

func (s *site) answer(certname string) (Answer, error) {
	s.Helper()
	e := s.open()
	track, err := e.Member(certname)
	if err != nil {
		s.Fatal(err)
	}
	return e.Answer(track, certname)
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		admissions, stops string
		want              string
		is                error
	}{
		"empty admissions":  {"", "{}", AdmissionsFile + ": byte 0", nil},
		"torn admissions":   {`{"document":{"epoch":"e","gen`, "{}", AdmissionsFile + ": byte 29", nil},
		"no document in it": {"{}", "{}", ErrNotReady.Error(), ErrNotReady},
		"another format":    {`{"document":{"format":2,"epoch":"e"}}`, "{}", "format: 2, this program reads 1", nil},
		"empty stops":       {`{"document":{"format":1,"epoch":"e"}}`, "", StopsFile + ": byte 0", nil},
		"torn stops":        {`{"document":{"format":1,"epoch":"e"}}`, `{"backout":{"ntp":{`, StopsFile + ": byte 19", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write(AdmissionsFile, []byte(c.admissions))
			s.write(StopsFile, []byte(c.stops))
			e, err := Open(s.dir)
			if e != nil || err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%+v, %v, want %q", e, err, c.want)
			}
		})
	}
}

func TestOpenWithoutAFile(t *testing.T) {
	s := newSite(t)
	if _, err := Open(s.dir); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "see `sluice-enc accept`") || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("nothing was ever accepted: %v", err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, AdmissionsFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.dir); err == nil || errors.Is(err, ErrNotReady) {
		t.Errorf("admissions that cannot be read are not the same as none: %v", err)
	}
	if err := os.Remove(filepath.Join(s.dir, AdmissionsFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, StopsFile)); err != nil {
		t.Fatal(err)
	}
	if e := s.open(); len(e.Stops.BackedOut) != 0 || e.Stops.Baseline {
		t.Errorf("no file of stops: %+v", e.Stops)
	}
	if err := os.Mkdir(filepath.Join(s.dir, StopsFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.dir); err == nil || !strings.Contains(err.Error(), StopsFile) {
		t.Errorf("a back-out may be in stops that cannot be read: %v", err)
	}
}

func TestStopsGiveBaseline(t *testing.T) {
	s := newSite(t)
	expect := func(why, want string) {
		t.Helper()
		if a, err := s.answer("one"); err != nil || a.Environment != want {
			t.Errorf("%s: %+v, %v, want %s", why, a, err, want)
		}
	}
	expect("admitted", "new")
	s.write(StopsFile, marshal(t, flags.Latched{BackOut: map[string]flags.Stop{"dns": {}}}))
	expect("another rollout is backed out", "new")
	s.write(StopsFile, marshal(t, flags.Latched{Pause: map[string]flags.Stop{"ntp": {}}, Freeze: &flags.Stop{}}))
	expect("a pause changes no node", "new")
	s.write(StopsFile, marshal(t, flags.Latched{BackOut: map[string]flags.Stop{"ntp": {Value: "true", Generation: 1}}}))
	expect("backed out", "old")
	s.write(StopsFile, []byte("{}"))
	s.write(BaselineFile, nil)
	expect("the local baseline file", "old")
	if err := os.Remove(filepath.Join(s.dir, BaselineFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(s.dir, BaselineFile)); err != nil {
		t.Fatal(err)
	}
	expect("a baseline file that leads nowhere", "old")
}

func TestAnswer(t *testing.T) {
	s := newSite(t)
	a, err := s.answer("one")
	if err != nil || a.Environment != "new" || a.Missing != "" {
		t.Fatalf("%+v %v", a, err)
	}
	out, err := a.YAML()
	if want := "---\nenvironment: new\nparameters: {\"sluice\":{\"a\":\"b\",\"z\":1}}\n"; err != nil || string(out) != want {
		t.Errorf("%q %v, want %q", out, err, want)
	}
	a, err = s.answer("stranger")
	if err != nil || a.Environment != "" || a.Track != "" {
		t.Fatalf("off every track: %+v %v", a, err)
	}
	if out, err = a.YAML(); err != nil || string(out) != "---\nparameters: {}\n" {
		t.Errorf("off every track: %q %v", out, err)
	}
	a.Parameters = map[string]any{"x": 1}
	if out, err = a.YAML(); err == nil {
		t.Errorf("a parameter from elsewhere was written: %q", out)
	}
}

func TestAnswerNeverNamesAMissingEnvironment(t *testing.T) {
	s := newSite(t)
	remove := func(env string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(s.dir, "environments", env)); err != nil {
			t.Fatal(err)
		}
	}
	remove("new")
	if a, err := s.answer("one"); err != nil || a.Environment != "old" || a.Missing != "new" {
		t.Errorf("without the candidate: %+v %v", a, err)
	}
	s.write("environments/new", []byte("a file is no environment"))
	if a, err := s.answer("one"); err != nil || a.Environment != "old" || a.Missing != "new" {
		t.Errorf("with a file in the candidate's place: %+v %v", a, err)
	}
	remove("old")
	if a, err := s.answer("one"); err == nil || !strings.Contains(err.Error(), "environment old is not in "+s.a.EnvironmentPath) {
		t.Errorf("without candidate and baseline: %+v %v", a, err)
	}
	remove("new")
	s.write("environments/new/environment.conf", nil)
	if a, err := s.answer("one"); err != nil || a.Environment != "new" {
		t.Errorf("an admitted node needs no baseline: %+v %v", a, err)
	}
}

func TestMember(t *testing.T) {
	e := newSite(t).open()
	for name, want := range map[string]string{"one": "production", "two": "production", "three": "production", "four": "", "": ""} {
		if got, err := e.Member(name); err != nil || got != want {
			t.Errorf("%q is on %q, %v, want %q", name, got, err, want)
		}
	}
}

// A set that is not what the document says answers for nobody: neither in nor out.
func TestInSetRefuses(t *testing.T) {
	print := segments.Fingerprint("one")
	for name, c := range map[string]struct {
		damage func(*site)
		want   string
	}{
		"gone":    {func(s *site) { _ = os.Remove(filepath.Join(s.dir, SetsDir, s.members.Digest)) }, "no such file"},
		"empty":   {func(s *site) { s.write(SetsDir+"/"+s.members.Digest, nil) }, "has 0 bytes, expected 3 members"},
		"shorter": {func(s *site) { s.write(SetsDir+"/"+s.members.Digest, s.members.Data[:2*segments.LineWidth]) }, "has 34 bytes, expected 3 members"},
		"longer":  {func(s *site) { s.write(SetsDir+"/"+s.members.Digest, append(s.members.Data, '\n')) }, "has 52 bytes, expected 3 members"},
		"garbage": {func(s *site) { s.write(SetsDir+"/"+s.members.Digest, make([]byte, len(s.members.Data))) }, "not a fingerprint"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			c.damage(s)
			e := s.open()
			if in, err := e.InSet(s.members.Digest, print); in || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, want %q", in, err, c.want)
			}
			if track, err := e.Member("one"); track != "" || err == nil {
				t.Errorf("member of %q, %v", track, err)
			}
		})
	}
	s := newSite(t)
	s.write(SetsDir+"/unlisted", s.members.Data)
	if in, err := s.open().InSet("unlisted", print); in || err == nil {
		t.Errorf("a set that the document does not list: %v %v", in, err)
	}
}
