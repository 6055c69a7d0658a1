package verb

import (
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/words"
	"github.com/openinfrastructure/sluice/segments"
)

func (r *run) veto() error {
	environment := r.Environment
	if !segments.IsEnvironment(environment) {
		return wrong("environment", "veto: %q is no environment (letters, digits and _)", environment)
	}
	if r.Snap != nil && slices.ContainsFunc(r.Snap.Tracks, func(t tree.Track) bool { return t.Baseline == environment }) {
		return refused("%s is the baseline of its track: roll out another one, or revert", environment)
	}
	v := gate.Veto{ID: "environment-" + environment, Environment: environment, By: r.who(), Comment: r.Reason}
	if err := r.setJSON(tree.VetoKey(v.ID), v); err != nil {
		return err
	}
	r.say("%s is vetoed: it cannot be started, and the leader takes it back where it is rolled out.", environment)
	r.say("To end that: sluice unveto %s --reason ...", environment)
	return nil
}

// unvetoEnvironment ends the veto of an environment, if there is one.
func (r *run) unvetoEnvironment(name string) (done bool, err error) {
	key := tree.VetoKey("environment-" + name)
	version, there := r.Snap.Versions[key]
	if !there || !segments.IsEnvironment(name) {
		return false, nil
	}
	if err := r.set(store.DeleteCAS(key, version)); err != nil {
		return true, err
	}
	r.say("the veto of %s is lifted; it may be started. A rollout that was taken back by it needs an unveto of its own.", name)
	return true, nil
}

func (r *run) pin() error {
	pin := gate.Pin{Certname: r.Certname, To: r.To, Rollout: r.Rollout, By: r.who(), Comment: r.Reason}
	if err := checkCertname(pin.Certname); err != nil {
		return err
	}
	if err := pin.Check(); err != nil {
		return wrong("to", "pin: %s %q: expected baseline or candidate", Field("to"), r.To)
	}
	if r.Rollout != "" {
		if _, err := r.flagged("rollout", r.Rollout); err != nil {
			return err
		}
	}
	var err error
	if pin.Until, err = r.end("pin"); err != nil {
		return err
	}
	if err := r.setJSON(tree.PinKey(pin.Certname), pin); err != nil {
		return err
	}
	r.say("%s is pinned to %s until %s (in %s): the leader publishes it at its next look, the edges obey it with the document.", pin.Certname, r.To, words.UTC(pin.Until), words.Age(pin.Until.Sub(r.Now())))
	if r.To == segments.ToCandidate {
		r.say("It waits for the gates that stop everything (freeze, pause, sources, edges), and for the edges' speed limit.")
	}
	r.say("To end it: sluice unpin %s --reason ...", pin.Certname)
	return nil
}

func (r *run) unpin() error {
	if err := checkCertname(r.Certname); err != nil {
		return err
	}
	version, there := r.Snap.Versions[tree.PinKey(r.Certname)]
	if !there {
		return missing("certname", "there is no pin of %s", r.Certname)
	}
	if err := r.set(store.DeleteCAS(tree.PinKey(r.Certname), version)); err != nil {
		return err
	}
	r.say("%s is not pinned any more.", r.Certname)
	return nil
}

// checkCertname refuses what cannot be a certname, and would be another key.
func checkCertname(name string) error {
	bad := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return wrong("certname", "%q is no certname (lower-case letters, digits, ., - and _)", name)
	}
	return nil
}
