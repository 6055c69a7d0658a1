package segments

import "maps"

// Stops is what lies above every threshold: stops that have latched, and the operator's local file.
type Stops struct {
	Baseline  bool            // the local `baseline` file: everyone on a track gets baseline
	BackedOut map[string]bool // rollouts that a person's flag has backed out
}

// Members answers whether a node (by fingerprint) is in the set with that digest.
type Members func(digest, fingerprint string) (bool, error)

// Decision is the answer for one node, with the reason that won.
type Decision struct {
	Track       string
	Environment string         // "" = not on a track: upstream's answer stays as it is
	Parameters  map[string]any // feature flags, empty where there are none; none of them null
	Rollouts    []Admission    // one per rollout of the track, in document order
}

// Admission says whether one rollout admits the node, and why.
type Admission struct {
	Rollout  string
	Admitted bool
	Position string    // u(salt, certname)
	Limit    Threshold // the node's limit after caps
	Stage    string    // the admitted stage that gave the limit, "" where none holds the node
	Cap      string    // the cap that lowered it, if any
	Reason   Reason
}

// Reason names the rule of the precedence that decided.
type Reason string

// The rules, strongest first.
const (
	ReasonLocalBaseline Reason = "local baseline file"
	ReasonBackedOut     Reason = "backed out"
	ReasonPinBaseline   Reason = "pinned to baseline"
	ReasonCap           Reason = "held back by a cap"
	ReasonPinCandidate  Reason = "pinned to candidate"
	ReasonBelow         Reason = "position below the threshold"
	ReasonAbove         Reason = "position not below the threshold"
	ReasonNoStage       Reason = "in no admitted stage"
)

// Decide says what a node of the given track gets. It is the only place where that is decided: the
// ENC asks it with the accepted document, the daemon and `sluice why` with the published one.
//
// The precedence is DESIGN.md section 3: local baseline file > back-out > pin to baseline > cap >
// pin to candidate > threshold. (A local `stop` file or a pause keeps thresholds from growing where
// the document is accepted, so it has no rule here.) An error means that the node's answer depends on
// a set that cannot be read; there is no answer then.
func Decide(d *Document, stops Stops, track, certname string, members Members) (Decision, error) {
	t := d.Track(track)
	if t == nil {
		return Decision{}, nil
	}
	out := Decision{Track: track, Environment: t.Baseline, Parameters: maps.Clone(t.Parameters)}
	print := ""
	known := map[string]bool{} // rollouts often share their segments
	in := func(set string) (held bool, err error) {
		if set == "" {
			return true, nil
		}
		held, ok := known[set]
		if ok {
			return held, nil
		}
		if print == "" {
			print = Fingerprint(certname)
		}
		if held, err = members(set, print); err == nil {
			known[set] = held
		}
		return held, err
	}
	taken := false
	for i := range d.Rollouts {
		r := &d.Rollouts[i]
		if r.Track != track {
			continue
		}
		a, err := admit(d, r, stops, certname, in)
		if err != nil {
			return Decision{}, err
		}
		out.Rollouts = append(out.Rollouts, a)
		switch {
		case !a.Admitted:
		case r.Candidate == "":
			if out.Parameters == nil {
				out.Parameters = map[string]any{}
			}
			maps.Copy(out.Parameters, r.Parameters)
		case !taken:
			taken, out.Environment = true, r.Candidate
		}
	}
	// A null takes a parameter away: the node is to be as if there had never been one.
	maps.DeleteFunc(out.Parameters, func(_ string, v any) bool { return v == nil })
	return out, nil
}

func admit(d *Document, r *Rollout, stops Stops, certname string, in func(string) (bool, error)) (Admission, error) {
	a := Admission{Rollout: r.Name, Position: Position(r.SaltOf(), certname), Limit: None}
	switch pin := pinOf(d, r.Name, certname); {
	case stops.Baseline:
		a.Reason = ReasonLocalBaseline
		return a, nil
	case r.BackedOut || stops.BackedOut[r.Name]:
		a.Reason = ReasonBackedOut
		return a, nil
	case pin == ToBaseline:
		a.Reason = ReasonPinBaseline
		return a, nil
	case pin == ToCandidate:
		a.Limit, a.Reason = All, ReasonPinCandidate
	default:
		if err := stageLimit(&a, r, in); err != nil {
			return a, err
		}
	}
	for _, c := range r.Caps {
		held, err := in(c.Set)
		if err != nil {
			return a, err
		}
		if held && c.Limit.Less(a.Limit) {
			a.Limit, a.Cap = c.Limit, c.ID
		}
	}
	a.Admitted = a.Limit.Admits(a.Position)
	switch {
	case a.Admitted && a.Reason == "":
		a.Reason = ReasonBelow
	case a.Admitted:
	case a.Cap != "":
		a.Reason = ReasonCap
	case a.Stage == "":
		a.Reason = ReasonNoStage
	default:
		a.Reason = ReasonAbove
	}
	return a, nil
}

// stageLimit gives the node the largest threshold of the admitted stages whose segment holds it.
func stageLimit(a *Admission, r *Rollout, in func(string) (bool, error)) error {
	for _, s := range r.Stages {
		if a.Stage != "" && !a.Limit.Less(s.Threshold) {
			continue // cannot raise the limit: spare the lookup in the set
		}
		held, err := in(s.Set)
		if err != nil {
			return err
		}
		if held {
			a.Limit, a.Stage = Higher(a.Limit, s.Threshold), s.Name
		}
	}
	return nil
}

// pinOf finds the node's pin for a rollout; a pin to baseline wins over one to candidate.
func pinOf(d *Document, rollout, certname string) string {
	to := ""
	for _, p := range d.Pins {
		if p.Certname != certname || (p.Rollout != "" && p.Rollout != rollout) {
			continue
		}
		if p.To == ToBaseline {
			return ToBaseline
		}
		to = p.To
	}
	return to
}
