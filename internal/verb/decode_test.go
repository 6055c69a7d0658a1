package verb

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode: what is read is what was written, within the fields of the verb; anything else is an error that is the request's.
func FuzzDecode(f *testing.F) {
	f.Add("pause", `{"reason":"x","rollouts":["ntp"]}`)
	f.Add("start", `{"reason":"x","name":"a","parameters":{"a":[1,null,{"b":"c"}]},"wait":"1s"}`)
	f.Add("hold add", `{"reason":"x","id":"a","selector":"{}","for":"1h"`)
	f.Add("freeze", `{"END":true}{`)
	f.Add("delay", `null`)
	f.Add("delay", `{"all":true,"all":false}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		v, ok := Named(name)
		if !ok {
			return
		}
		a, err := v.Decode(strings.NewReader(text))
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Kind != Wrong || e.Error() == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		var loose Ask
		if err := json.Unmarshal([]byte(text), &loose); err != nil || !cmp.Equal(a, loose) {
			t.Fatalf("%q is read as %+v, not as %+v (%v)", text, a, loose, err)
		}
		if err := v.Check(&a); err != nil && (!errors.As(err, &e) || e.Kind != Wrong || e.Field != "reason" && e.Field != "wait") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
