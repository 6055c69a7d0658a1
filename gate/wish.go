package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Veto is a person's word against a change: against a part of one rollout, which gives its nodes baseline while the rest goes
// on (a cut-out), or against an environment, which is then taken back and not started.
type Veto struct {
	ID          string `json:"id"`
	Rollout     string `json:"rollout,omitempty"`
	Selector    string `json:"selector,omitempty"`
	Environment string `json:"environment,omitempty"`
	By          string `json:"by"`
	Comment     string `json:"comment"`
	Err         string `json:"err,omitempty"` // it cannot be read: it holds everything
}

// Check says what is wrong with a veto, nil if nothing is.
func (v *Veto) Check() error {
	if (v.Environment != "") == (v.Rollout != "") || (v.Rollout != "") != (v.Selector != "") {
		return fmt.Errorf(`expected "rollout" and "selector", or "environment"`)
	}
	return nil
}

// Pin keeps one node on baseline, or gives it the candidate before its turn, until a time.
type Pin struct {
	Certname string    `json:"certname"`
	To       string    `json:"to"`                // segments.ToBaseline or ToCandidate
	Rollout  string    `json:"rollout,omitempty"` // "" = every rollout
	Until    time.Time `json:"until,omitzero"`    // zero = no end
	By       string    `json:"by"`
	Comment  string    `json:"comment"`
	Err      string    `json:"err,omitempty"` // it cannot be read: it holds everything
}

// Check says what is wrong with a pin, nil if nothing is.
func (p *Pin) Check() error {
	if p.Certname == "" || p.To != segments.ToBaseline && p.To != segments.ToCandidate {
		return fmt.Errorf(`"to": %q, expected "%s" or "%s"`, p.To, segments.ToBaseline, segments.ToCandidate)
	}
	return nil
}

// Concerns says whether the pin is about this rollout.
func (p *Pin) Concerns(rollout string) bool { return p.Rollout == "" || p.Rollout == rollout }

// Source is the kind and name of the cap that the pin makes.
func (p *Pin) Source() string {
	if p.To == segments.ToCandidate {
		return CapAhead + "/" + p.Certname
	}
	return CapPin + "/" + p.Certname
}

// vetoed says who has vetoed the environment of the rollout, "" for nobody.
func (s *stepper) vetoed() string {
	for _, v := range s.w.Vetoes {
		if v.Environment != "" && v.Environment == s.r.Spec.Candidate {
			return fmt.Sprintf("veto %s of %s: %s", v.ID, v.By, v.Comment)
		}
	}
	return ""
}

// pins gives the pins of the next document. To baseline is at once; it ends in each rollout under way when that has given the node
// back, as its state has it. To candidate begins with every gate open that does not wait for a stage, and only in a rollout that is under way.
func (d *Decision) pins(w *World, after []State) []segments.Pin {
	var out []segments.Pin
	for i := range w.Pins {
		p := &w.Pins[i]
		if p.To == segments.ToBaseline {
			out = append(out, segments.Pin{Certname: p.Certname, To: p.To, Rollout: p.Rollout})
			continue
		}
		for k := range w.Rollouts {
			r := &w.Rollouts[k]
			pin := segments.Pin{Certname: p.Certname, To: p.To, Rollout: r.Spec.Name}
			if !after[k].Phase.Active() || !p.Concerns(r.Spec.Name) || slices.Contains(out, pin) {
				continue
			}
			s := &stepper{w: w, r: r, state: after[k], after: after, index: k, decision: d}
			if slices.Contains(w.Document.Pins, pin) || s.open(append(s.alwaysGates(), s.holdGate())...) {
				out = append(out, pin)
			}
		}
	}
	for k := range after {
		for _, certname := range d.unpinning(w, after, k) {
			pin := segments.Pin{Certname: certname, To: segments.ToBaseline, Rollout: w.Rollouts[k].Spec.Name}
			stands := func(p segments.Pin) bool { return keepsBaseline(p, pin.Rollout) && p.Certname == certname }
			if !slices.ContainsFunc(out, stands) {
				out = append(out, pin)
			}
		}
	}
	return out
}

func keepsBaseline(p segments.Pin, rollout string) bool {
	return p.To == segments.ToBaseline && (p.Rollout == "" || p.Rollout == rollout)
}

// unpinning names the nodes that a pin to baseline still keeps from rollout k although nobody may ask for that any more: those that
// its state has yet to give back; and of those that came and went before its state heard of them, whoever is in the document, until
// every gate is open.
func (d *Decision) unpinning(w *World, after []State, k int) (out []string) {
	r := &w.Rollouts[k]
	if !after[k].Phase.Active() {
		return nil
	}
	for i := range after[k].Caps {
		c := &after[k].Caps[i]
		if certname, isPin := strings.CutPrefix(c.Source(), CapPin+"/"); isPin && c.back(c.Position).IsZero() {
			out = append(out, certname)
		}
	}
	for _, p := range w.Document.Pins {
		given := func(c Cap) bool { return c.Source() == CapPin+"/"+p.Certname && !c.Over() } // by this decision
		if !keepsBaseline(p, r.Spec.Name) || slices.Contains(out, p.Certname) || slices.ContainsFunc(r.State.Caps, given) {
			continue
		}
		s := &stepper{w: w, r: r, state: after[k], after: after, index: k, decision: d}
		if !s.open(append(s.alwaysGates(), s.holdGate())...) {
			out = append(out, p.Certname)
		}
	}
	return out
}
