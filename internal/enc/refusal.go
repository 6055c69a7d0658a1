package enc

import "errors"

// Reason is one of a few words for why a document is not in force, for metrics; the error has the sentence.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonState    Reason = "state"    // what this edge remembers cannot be read
	ReasonMissing  Reason = "missing"  // nothing was rendered, or it cannot be read
	ReasonEmpty    Reason = "empty"    // an empty file was rendered
	ReasonTorn     Reason = "torn"     // torn, or edited by hand
	ReasonInvalid  Reason = "invalid"  // of another format, or such that no leader writes it
	ReasonEpoch    Reason = "epoch"    // of another installation
	ReasonOlder    Reason = "older"    // an older generation, or the same one with another content
	ReasonFrozen   Reason = "frozen"   // a rollout's change or salt, or a track, is another one than before
	ReasonSet      Reason = "set"      // it names a set that cannot be had
	ReasonInstall  Reason = "install"  // the state directory cannot be written
	ReasonUnstated Reason = "unstated" // none of these
)

// Reasons are all of them.
var Reasons = []Reason{ReasonState, ReasonMissing, ReasonEmpty, ReasonTorn, ReasonInvalid, ReasonEpoch, ReasonOlder,
	ReasonFrozen, ReasonSet, ReasonInstall, ReasonUnstated}

// refusal is an error with its reason.
type refusal struct {
	reason Reason
	error
}

func (r refusal) Unwrap() error { return r.error }

func refuse(reason Reason, err error) error {
	if err == nil {
		return nil
	}
	return refusal{reason, err}
}

// ReasonOf gives the reason of a refused document; an error that names none is ReasonUnstated.
func ReasonOf(err error) Reason {
	var r refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return ReasonUnstated
}
