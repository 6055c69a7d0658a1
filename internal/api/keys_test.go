package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
)

// TestKeys: what the store has is shown as it is; that there is nothing is an answer of its own, and that nobody knows is none.
func TestKeys(t *testing.T) {
	l := newLab(t).serve(nil)
	l.put("flags/ntp/pause", "true \xff\x00")
	l.put("flags/ntp/ein schöner/Name?", "x")
	type entry struct {
		Key   string
		Value []byte
	}
	read := func(path string, want int) (entries []entry) {
		t.Helper()
		status, body := l.ask("GET", "keys/"+path, "")
		var got struct {
			Index   uint64
			Entries []entry
			Error   string
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != want || (status == 200) != (got.Index > 0 && got.Entries != nil) || (status == 200) == (got.Error != "") {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
		return got.Entries
	}
	if got := read("flags/ntp/pause", 200); len(got) != 1 || got[0].Key != "flags/ntp/pause" || string(got[0].Value) != "true \xff\x00" {
		t.Errorf("one key: %v", got)
	}
	if got := read("flags/ntp/ein%20sch%C3%B6ner/Name%3F", 200); len(got) != 1 {
		t.Errorf("a key to be escaped: %v", got)
	}
	if got := read("flags/ntp/", 200); len(got) != 2 || got[0].Key > got[1].Key {
		t.Errorf("below flags/ntp/: %v", got)
	}
	if a, b := read("flags/dns/", 200), read("flags/ntp", 200); len(a)+len(b) != 0 {
		t.Errorf("what is not there: %v %v", a, b)
	}
	if got := read("enc/manifest", 200); len(got) != 1 {
		t.Errorf("the manifest: %v", got)
	}
	for _, path := range []string{"", "enc/", "enc/sets/", "enc/sets/0123/", strings.Repeat("x", store.MaxKey+1)} {
		read(path, 400)
	}
	faults := storetest.NewFaults(l.kv)
	l.kv = faults
	faults.Plan(func(storetest.Call) storetest.Fault { return storetest.Fault{Before: store.ErrUnavailable} })
	read("flags/ntp/pause", 503)
	read("flags/ntp/", 503)
}
