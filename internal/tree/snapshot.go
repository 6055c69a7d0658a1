package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/segments"
)

// Snapshot is everything below the prefix that decisions are made of, with the versions that a transaction
// checks. Reading is consistent per part; what must not change in between is fenced when it is written.
type Snapshot struct {
	Init     Init
	Tracks   []Track // by name
	Document segments.Document
	Stops    Stops
	Rollouts []Rollout       // by time of creation
	Gone     map[string]Gone // by name
	Requests map[string]Request
	Flags    map[string]string // below flags/
	Holds    []gate.Hold
	Pins     []gate.Pin
	Vetoes   []gate.Veto
	Edges    []edge.Status
	Audit    AuditHead
	Trouble  Trouble // of the leader; for people
	Notified uint64
	Versions map[string]uint64 // of single keys, 0 where there is none
	// Damaged lists keys whose content cannot be read, each with the reason. What they would have said is not
	// known, so nothing goes forward while there are any.
	Damaged []string
}

// Rollout is a rollout as it is stored.
type Rollout struct {
	Spec   gate.Spec
	State  gate.State
	Status Status

	past  []page // as it was read; the state has it too
	pages int    // how many there should be
}

// ErrNotInitialised is returned where `sluice init` has not run.
var ErrNotInitialised = errors.New("the store holds no sluice installation: run `sluice init` first")

// Read takes a snapshot.
func Read(ctx context.Context, s store.Store) (*Snapshot, error) {
	snap := &Snapshot{Gone: map[string]Gone{}, Requests: map[string]Request{}, Flags: map[string]string{}, Versions: map[string]uint64{}}
	found, err := snap.get(ctx, s, InitKey, &snap.Init)
	if err != nil {
		return nil, err
	}
	if !found || snap.Init.Epoch == "" {
		return nil, ErrNotInitialised
	}
	if err := snap.manifest(ctx, s); err != nil {
		return nil, err
	}
	for key, v := range map[string]any{StopsKey: &snap.Stops, AuditHeadKey: &snap.Audit, NotifiedKey: &snap.Notified} {
		found, err := snap.get(ctx, s, key, v)
		if err != nil {
			return nil, err
		}
		if !found && key != NotifiedKey { // `sluice init` makes the others
			snap.damaged(key, "missing")
		}
	}
	switch e, err := s.Get(ctx, TroubleKey); {
	case err == nil:
		_ = json.Unmarshal(e.Value, &snap.Trouble) // for people only
	case !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%s: %w", TroubleKey, err)
	}
	rollouts := map[string]*Rollout{}
	for prefix, take := range map[string]func(rest string, e store.Entry){
		"tracks/":   func(_ string, e store.Entry) { snap.track(e) },
		"rollouts/": func(_ string, e store.Entry) { snap.rollout(rollouts, e) },
		"requests/": func(id string, e store.Entry) { snap.request(id, e) },
		"flags/":    func(key string, e store.Entry) { snap.Flags[key] = string(e.Value) },
		"holds/":    func(id string, e store.Entry) { snap.hold(id, e) },
		"pins/":     func(name string, e store.Entry) { snap.pin(name, e) },
		"vetoes/":   func(id string, e store.Entry) { snap.veto(id, e) },
		"edges/":    func(host string, e store.Entry) { snap.edge(host, e) },
	} {
		entries, _, err := s.List(ctx, prefix)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prefix, err)
		}
		for _, e := range entries {
			if rest := strings.TrimPrefix(e.Key, prefix); rest != "" && !strings.HasSuffix(rest, "/") {
				snap.Versions[e.Key] = e.Version
				take(rest, e)
			}
		}
	}
	snap.order(rollouts)
	return snap, nil
}

func (snap *Snapshot) get(ctx context.Context, s store.Store, key string, v any) (found bool, err error) {
	e, err := s.Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%s: %w", key, err)
	}
	snap.Versions[key] = e.Version
	snap.decode(e, v)
	return true, nil
}

func (snap *Snapshot) damaged(key, format string, args ...any) {
	snap.Damaged = append(snap.Damaged, key+": "+fmt.Sprintf(format, args...))
}

func (snap *Snapshot) decode(e store.Entry, v any) bool {
	if err := json.Unmarshal(e.Value, v); err != nil {
		snap.damaged(e.Key, "%v", err)
		return false
	}
	return true
}

func (snap *Snapshot) manifest(ctx context.Context, s store.Store) error {
	e, err := s.Get(ctx, ManifestKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		snap.damaged(ManifestKey, "missing")
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", ManifestKey, err)
	}
	snap.Versions[ManifestKey] = e.Version
	d, _, err := enc.Decode(e.Value)
	if err != nil {
		snap.damaged(ManifestKey, "%v", err)
		return nil
	}
	if snap.Document = d; d.Epoch != snap.Init.Epoch {
		snap.damaged(ManifestKey, "epoch %s, the installation is %s", d.Epoch, snap.Init.Epoch)
	}
	return nil
}

func (snap *Snapshot) track(e store.Entry) {
	var t Track
	switch {
	case !snap.decode(e, &t):
	case TrackKey(t.Name) != e.Key:
		snap.damaged(e.Key, "it is of track %q", t.Name)
	case !segments.IsEnvironment(t.Baseline):
		snap.damaged(e.Key, "baseline %q is not the name of an environment", t.Baseline)
	default:
		snap.Tracks = append(snap.Tracks, t)
	}
}

func (snap *Snapshot) rollout(all map[string]*Rollout, e store.Entry) {
	name, what, ok := RolloutOf(e.Key)
	if !ok {
		return
	}
	if what == "gone" {
		snap.gone(name, e)
		return
	}
	if _, gone := snap.Gone[name]; gone { // that key comes before the others
		return
	}
	r := all[name]
	if r == nil {
		r = &Rollout{}
		all[name] = r
	}
	switch what {
	case "spec":
		snap.decode(e, &r.Spec)
	case "state":
		snap.state(e, r)
	case "status":
		_ = json.Unmarshal(e.Value, &r.Status) // for people only; nothing is decided by it
	default:
		if strings.HasPrefix(what, "past/") {
			snap.turned(r, name, e)
		}
	}
}

// state refuses what says no phase: read as the zero value, a rollout that ended would wait for its beginning.
func (snap *Snapshot) state(e store.Entry, into *Rollout) {
	var said struct {
		Phase *gate.Phase `json:"phase"`
	}
	var stored storedState
	if !snap.decode(e, &stored) || !snap.decode(e, &said) {
		return
	}
	into.State, into.pages = stored.State, stored.Pages
	switch {
	case said.Phase == nil:
		snap.damaged(e.Key, "it says no phase")
	case said.Phase.Active() && len(into.State.Stages) == 0:
		snap.damaged(e.Key, "%s without a stage", *said.Phase)
	}
}

func (snap *Snapshot) request(id string, e store.Entry) {
	var r Request
	if err := json.Unmarshal(e.Value, &r); err != nil {
		r = Request{Refused: "cannot be read: " + err.Error()}
	}
	snap.Requests[id] = r
}

func (snap *Snapshot) hold(id string, e store.Entry) {
	h := gate.Hold{}
	if err := json.Unmarshal(e.Value, &h); err != nil {
		h = gate.Hold{Err: err.Error()}
	}
	h.ID = id
	snap.Holds = append(snap.Holds, h)
}

func (snap *Snapshot) pin(certname string, e store.Entry) {
	p := gate.Pin{}
	err := json.Unmarshal(e.Value, &p)
	p.Certname = certname
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		p = gate.Pin{Certname: certname, Err: err.Error()}
	}
	snap.Pins = append(snap.Pins, p)
}

func (snap *Snapshot) veto(id string, e store.Entry) {
	v := gate.Veto{}
	err := json.Unmarshal(e.Value, &v)
	if err == nil {
		err = v.Check()
	}
	if err != nil {
		v = gate.Veto{Err: err.Error()}
	}
	v.ID = id
	snap.Vetoes = append(snap.Vetoes, v)
}

func (snap *Snapshot) edge(host string, e store.Entry) {
	s := edge.Status{}
	if err := json.Unmarshal(e.Value, &s); err != nil {
		s = edge.Status{Refused: "its report cannot be read: " + err.Error()}
	}
	s.Host = host
	snap.Edges = append(snap.Edges, s)
}

func (snap *Snapshot) order(rollouts map[string]*Rollout) {
	snap.leftOver(slices.Sorted(maps.Keys(snap.Versions)))
	for name, r := range rollouts {
		if r.Spec.Name != name { // a state without a spec, or one that was moved by hand
			snap.damaged(SpecKey(name), "missing, or it names another rollout")
			continue
		}
		if snap.Versions[StateKey(name)] == 0 { // a spec is never written without a state
			snap.damaged(StateKey(name), "missing")
		}
		snap.whole(r)
		snap.Rollouts = append(snap.Rollouts, *r)
	}
	sort.Slice(snap.Rollouts, func(i, j int) bool {
		a, b := snap.Rollouts[i].Spec, snap.Rollouts[j].Spec
		if !a.Created.Equal(b.Created) {
			return a.Created.Before(b.Created)
		}
		return a.Name < b.Name
	})
	sort.Strings(snap.Damaged)
}

// Rollout finds a rollout by name, nil where there is none.
func (snap *Snapshot) Rollout(name string) *Rollout {
	for i := range snap.Rollouts {
		if snap.Rollouts[i].Spec.Name == name {
			return &snap.Rollouts[i]
		}
	}
	return nil
}

// Reverse gives what undoes a completed rollout as long as nothing has come after it, or why nothing does.
func (snap *Snapshot) Reverse(r *Rollout) (environment string, parameters map[string]any, why string) {
	var track *segments.Track
	if t := snap.Track(r.Spec.Track); t != nil {
		track = &segments.Track{Name: t.Name, Baseline: t.Baseline, Parameters: t.Parameters}
	}
	return r.State.Reverse(&r.Spec, track)
}

// Track finds a track by name, nil where there is none.
func (snap *Snapshot) Track(name string) *Track {
	for i := range snap.Tracks {
		if snap.Tracks[i].Name == name {
			return &snap.Tracks[i]
		}
	}
	return nil
}
