package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/segments"
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// site is a store with an installation in it.
type site struct {
	*testing.T
	kv *mem.Store
}

func newSite(t *testing.T) *site {
	s := &site{T: t, kv: mem.New()}
	s.json(InitKey, Init{Format: 1, Epoch: "e1", Created: t0})
	s.manifest("e1", 7)
	s.json(TrackKey("production"), Track{Name: "production", Baseline: "production_1", Nodes: 3})
	s.json(TrackKey("edge"), Track{Name: "edge", Baseline: "edge_1"})
	s.json(StopsKey, Stops{})
	s.json(AuditHeadKey, AuditHead{Seq: 4, Hash: "h"})
	s.rollout("ntp", t0.Add(time.Hour), gate.State{Phase: gate.Running, Stages: []gate.StageState{{Name: "canary"}}})
	s.rollout("dns", t0, gate.State{})
	s.json(RequestKey("a"), Request{Kind: RequestUnveto, Rollout: "ntp"})
	s.set("flags/freeze", "false")
	s.set("flags/ntp/pause", "true for a while")
	s.json("holds/h1", gate.Hold{Selector: `{certname="a"}`, By: "alice"})
	s.set("edges/puppet1", `{"generation":7,"ready":true,"epoch":"e1","host":"somebody else"}`)
	return s
}

func (s *site) set(key, value string) {
	s.Helper()
	if err := s.kv.Txn(s.Context(), store.Set(key, []byte(value))); err != nil {
		s.Fatal(err)
	}
}

func (s *site) json(key string, v any) {
	s.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		s.Fatal(err)
	}
	s.set(key, string(data))
}

func (s *site) manifest(epoch string, generation uint64) {
	s.Helper()
	data, err := enc.Encode(segments.Document{Format: segments.Format, Epoch: epoch, Generation: generation, Written: t0,
		Tracks: []segments.Track{{Name: "production", Baseline: "production_1", Nodes: 3}}})
	if err != nil {
		s.Fatal(err)
	}
	s.set(ManifestKey, string(data))
}

func (s *site) rollout(name string, created time.Time, state gate.State) {
	s.Helper()
	s.json(SpecKey(name), gate.Spec{Name: name, Track: "production", Candidate: "production_2", Created: created})
	s.json(StateKey(name), state)
}

func (s *site) read() *Snapshot {
	s.Helper()
	snap, err := Read(s.Context(), s.kv)
	if err != nil {
		s.Fatal(err)
	}
	return snap
}

func TestRead(t *testing.T) {
	s := newSite(t)
	s.json(StatusKey("ntp"), Status{Leader: "me", StillToRun: 2})
	s.json(NotifiedKey, 3)
	snap := s.read()
	if len(snap.Damaged) > 0 {
		t.Fatal(snap.Damaged)
	}
	if snap.Init.Epoch != "e1" || snap.Document.Generation != 7 || snap.Audit.Seq != 4 || snap.Notified != 3 {
		t.Errorf("%+v", snap)
	}
	var names []string
	for _, tr := range snap.Tracks {
		names = append(names, tr.Name)
	}
	for _, r := range snap.Rollouts { // by creation, not by name
		names = append(names, r.Spec.Name+" "+r.State.Phase.String())
	}
	if want := []string{"edge", "production", "dns waiting", "ntp running"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if r := snap.Rollout("ntp"); r == nil || r.Status.StillToRun != 2 || len(r.State.Stages) != 1 {
		t.Errorf("%+v", r)
	}
	if snap.Rollout("nope") != nil || snap.Track("nope") != nil || snap.Track("production").Nodes != 3 {
		t.Error("found what is not there, or not what is")
	}
	if diff := cmp.Diff(map[string]string{"freeze": "false", "ntp/pause": "true for a while"}, snap.Flags); diff != "" {
		t.Errorf("flags:\n%s", diff)
	}
	if len(snap.Holds) != 1 || snap.Holds[0].ID != "h1" || len(snap.Edges) != 1 || snap.Edges[0].Host != "puppet1" {
		t.Errorf("holds %+v, edges %+v: a key's name says whose it is, not its content", snap.Holds, snap.Edges)
	}
	for _, key := range []string{ManifestKey, StopsKey, AuditHeadKey, NotifiedKey, TrackKey("production"), StateKey("ntp"), SpecKey("ntp"), RequestKey("a")} {
		e, err := s.kv.Get(t.Context(), key)
		if err != nil || snap.Versions[key] != e.Version {
			t.Errorf("%s: version %d in the snapshot, %d in the store, %v", key, snap.Versions[key], e.Version, err)
		}
	}
}

func TestReadWithoutInit(t *testing.T) {
	s := &site{T: t, kv: mem.New()}
	if _, err := Read(t.Context(), s.kv); !errors.Is(err, ErrNotInitialised) {
		t.Errorf("empty store: %v", err)
	}
	for _, value := range []string{"", "{", "{}", `{"epoch":""}`} {
		s.set(InitKey, value)
		if snap, err := Read(t.Context(), s.kv); err == nil {
			t.Errorf("init %q: %+v", value, snap)
		}
	}
}

// TestDamaged: every key that decisions rest on is named when it cannot be read, and nothing else is lost with it.
func TestDamaged(t *testing.T) {
	const gone = "-"
	for name, c := range map[string]struct{ key, value, want string }{
		"manifest empty":         {ManifestKey, "", ""},
		"manifest torn":          {ManifestKey, `{"digest":"`, ""},
		"manifest gone":          {ManifestKey, gone, "missing"},
		"stops":                  {StopsKey, "[", ""},
		"stops gone":             {StopsKey, gone, "missing"},
		"audit head":             {AuditHeadKey, "", ""},
		"audit head gone":        {AuditHeadKey, gone, "missing"},
		"notified":               {NotifiedKey, "-1", ""},
		"track torn":             {TrackKey("production"), `{"name":"production",`, ""},
		"track of another name":  {TrackKey("production"), `{"name":"edge","baseline":"edge_1"}`, `"edge"`},
		"track without baseline": {TrackKey("production"), `{"name":"production"}`, "baseline"},
		"spec":                   {SpecKey("ntp"), "{", ""},
		"spec gone":              {SpecKey("ntp"), gone, "missing"},
		"spec of another":        {SpecKey("ntp"), `{"name":"dns"}`, "another rollout"},
		"state":                  {StateKey("ntp"), "{", ""},
		"state empty":            {StateKey("ntp"), "", ""},
		"state null":             {StateKey("ntp"), "null", "phase"},
		"state without a phase":  {StateKey("ntp"), "{}", "phase"},
		"state without a stage":  {StateKey("ntp"), `{"phase":"running"}`, "stage"},
		"state gone":             {StateKey("ntp"), gone, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.set(c.key, c.value)
			if c.value == gone {
				if err := s.kv.Txn(t.Context(), store.Delete(c.key)); err != nil {
					t.Fatal(err)
				}
			}
			snap := s.read()
			if !slices.ContainsFunc(snap.Damaged, func(d string) bool { return strings.HasPrefix(d, c.key+": ") && strings.Contains(d, c.want) }) {
				t.Errorf("damaged: %q, want %s: … %s", snap.Damaged, c.key, c.want)
			}
			if snap.Rollout("dns") == nil || snap.Track("edge") == nil || len(snap.Flags) != 2 {
				t.Errorf("what is whole is lost: %+v", snap)
			}
		})
	}
	t.Run("manifest of another epoch", func(t *testing.T) {
		s := newSite(t)
		s.manifest("e2", 9)
		if d := s.read().Damaged; len(d) != 1 || !strings.Contains(d[0], "epoch e2, the installation is e1") {
			t.Errorf("%q", d)
		}
	})
}

// TestNotDamaged: what a person or an edge wrote badly is read as a stop or as a complaint, and stops nobody else.
func TestNotDamaged(t *testing.T) {
	s := newSite(t)
	s.set("holds/bad", "{")
	s.set("edges/puppet2", "{")
	s.set(RequestKey("bad"), "{")
	s.set(StatusKey("ntp"), "{")
	s.set("rollouts/ntp/notes", "by hand")
	s.set("rollouts/stray", "by hand")
	s.set(TroubleKey, "{")
	snap := s.read()
	if len(snap.Damaged) > 0 {
		t.Errorf("%q", snap.Damaged)
	}
	if i := slices.IndexFunc(snap.Holds, func(h gate.Hold) bool { return h.ID == "bad" }); i < 0 || snap.Holds[i].Err == "" {
		t.Errorf("holds %+v: one that cannot be read holds everything", snap.Holds)
	}
	if r := snap.Requests["bad"]; !strings.Contains(r.Refused, "cannot be read") {
		t.Errorf("%+v", r)
	}
	if len(snap.Edges) != 2 || snap.Edges[1].Ready || snap.Edges[1].Refused == "" {
		t.Errorf("edges %+v", snap.Edges)
	}
	if len(snap.Rollouts) != 2 {
		t.Errorf("%d rollouts", len(snap.Rollouts))
	}
}

// TestReadFails: a part that cannot be seen is an error that names it, never a part that is not there.
func TestReadFails(t *testing.T) {
	s := newSite(t)
	down := fmt.Errorf("no route: %w", store.ErrUnavailable)
	for _, key := range []string{InitKey, ManifestKey, StopsKey, AuditHeadKey, NotifiedKey, "tracks/", "rollouts/", "requests/", "flags/", "holds/", "edges/"} {
		f := storetest.NewFaults(s.kv)
		f.Plan(func(c storetest.Call) storetest.Fault {
			if c.Key == key {
				return storetest.Fault{Before: down}
			}
			return storetest.Fault{}
		})
		if snap, err := Read(t.Context(), f); snap != nil || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, %v", key, snap, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]string{
		SpecKey("a"): "rollouts/a/spec", StateKey("a"): "rollouts/a/state", StatusKey("a"): "rollouts/a/status", RequestKey("a"): "requests/a",
		TrackKey("a"): "tracks/a", EdgeKey("a"): "edges/a", AuditKey(12): "audit/000000000012", FlagKey("a", "pause"): "flags/a/pause", ApprovalKey("a", "b"): "flags/a/approve/b",
	} {
		if key != want {
			t.Errorf("%s, want %s", key, want)
		}
		if err := store.CheckKey(key); err != nil {
			t.Error(err)
		}
	}
	for key, want := range map[string]string{"rollouts/a/spec": "a spec true", "rollouts/a": "a  false", "flags/a/pause": "  false"} {
		name, what, ok := RolloutOf(key)
		if got := fmt.Sprintf("%s %s %v", name, what, ok); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// FuzzDamaged puts anything under a rollout's state: it is read as it is, or named as damaged, and a rollout that ended
// never comes back as one that waits because somebody's bytes say nothing.
func FuzzDamaged(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"phase":"backed_out"}`, `{"phase":""}`, `{"phase":"running","stages":[{}]}`, `{"phase":"waiting"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		snap := &Snapshot{Versions: map[string]uint64{StateKey("ntp"): 1}}
		var r Rollout
		snap.state(store.Entry{Key: StateKey("ntp"), Value: value, Version: 1}, &r)
		state := r.State
		if len(snap.Damaged) == 0 && state.Phase.Active() && len(state.Stages) == 0 {
			t.Errorf("%q is under way without a stage", value)
		}
		if len(snap.Damaged) == 0 && state.Phase == gate.Waiting && !strings.Contains(strings.ToLower(string(value)), "phase") && !strings.Contains(string(value), `\u`) {
			t.Errorf("%q waits", value)
		}
	})
}
