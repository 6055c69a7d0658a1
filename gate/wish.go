package gate

import (
	"fmt"
	"slices"
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

// pins gives the pins of the next document. To baseline is at once; it ends when every rollout under way has given the node
// back. To candidate begins with every gate open that does not wait for a stage, and only in a rollout that is under way.
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
	for _, pin := range w.Document.Pins {
		if pin.To != segments.ToBaseline || slices.Contains(out, pin) {
			continue
		}
		for k := range after {
			name := w.Rollouts[k].Spec.Name
			mine := func(c Cap) bool { return c.Source() == CapPin+"/"+pin.Certname && !c.Over() }
			if after[k].Phase.Active() && (pin.Rollout == "" || pin.Rollout == name) && slices.ContainsFunc(after[k].Caps, mine) {
				out = append(out, pin)
				break
			}
		}
	}
	return out
}
