package store

import (
	"encoding/json"
	"fmt"
	"time"
)

// Holder is the value of a leader key. It is for people: after a crash it still
// names the last holder, so nothing may be decided by it.
type Holder struct {
	Who   string    `json:"who"`   // as given to Campaign; "" after a clean release
	Since time.Time `json:"since"` // UTC, the clock of that process
}

// Encode is the value to store.
func (h Holder) Encode() []byte {
	h.Since = h.Since.UTC().Truncate(time.Second)
	b, err := json.Marshal(h)
	if err != nil {
		// Only a year outside 0 to 9999 gets here; a holder without a time is still true.
		b, _ = json.Marshal(Holder{Who: h.Who})
	}
	return b
}

// ParseHolder reads the value of a leader key.
func ParseHolder(value []byte) (Holder, error) {
	var h Holder
	if err := json.Unmarshal(value, &h); err != nil {
		return Holder{}, fmt.Errorf("leader value %.80q: want a json object with who and since: %w", value, err)
	}
	return h, nil
}
