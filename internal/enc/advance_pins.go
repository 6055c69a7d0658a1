package enc

import (
	"slices"

	"github.com/openinfrastructure/sluice/segments"
)

// pins: to baseline at once; one to candidate that is new, or one to baseline that is gone, is one node forward. A pin may be
// meant for every rollout, and is paid for each: else pins that were paid long ago would all act on the next rollout. Under a
// rollout that is on its way to be the baseline pins only end.
func (a *advancer) pins(want []segments.Pin, carried, rollouts []segments.Rollout) {
	var waiting []string
	wanted, before := map[segments.Pin]bool{}, map[segments.Pin]bool{}
	for _, pin := range a.prev.Pins {
		before[pin] = true
	}
	for _, pin := range want {
		for i := range rollouts {
			r := &rollouts[i]
			p := segments.Pin{Certname: pin.Certname, To: pin.To, Rollout: r.Name}
			if pin.Rollout != "" && pin.Rollout != r.Name || wanted[p] || r.BackedOut && pin.To == segments.ToCandidate {
				continue
			}
			if pin.To == segments.ToCandidate && !before[p] && (a.held(r.Name) != "" || a.rival(r) != "" || !a.purse.pay(1)) {
				waiting = append(waiting, pin.Certname)
				continue
			}
			wanted[p] = true
			if pin.To == segments.ToCandidate {
				a.pinned[r.Name] = true
			}
			a.out.Pins = append(a.out.Pins, p)
		}
	}
	for _, pin := range a.prev.Pins {
		lives := slices.ContainsFunc(rollouts, func(r segments.Rollout) bool { return r.Name == pin.Rollout })
		if pin.To == segments.ToBaseline && lives && !wanted[pin] && !a.unpinned(pin) {
			a.out.Pins = append(a.out.Pins, pin)
		}
	}
	a.purse.waits("pins to candidate wait", waiting)
	a.purse.waits("pins to baseline wait for their end", a.ending)
	for _, pin := range a.prev.Pins { // they ran ahead of the others and stay there
		if pin.To == segments.ToCandidate && slices.ContainsFunc(carried, func(r segments.Rollout) bool { return r.Name == pin.Rollout && !r.BackedOut }) {
			a.out.Pins = append(a.out.Pins, pin)
		}
	}
}

// unpin ends pins to baseline under a rollout that is to be the baseline, one node each, and says how many are left.
func (a *advancer) unpin(rollout string) int {
	kept := 0
	for _, pin := range a.prev.Pins {
		if pin.To == segments.ToBaseline && pin.Rollout == rollout && !a.unpinned(pin) {
			kept++
			a.out.Pins = append(a.out.Pins, pin)
		}
	}
	return kept
}

// unpinned says whether a pin to baseline may end.
func (a *advancer) unpinned(pin segments.Pin) bool {
	if a.held(pin.Rollout) == "" && a.purse.pay(1) {
		return true
	}
	a.ending = append(a.ending, pin.Certname)
	return false
}
