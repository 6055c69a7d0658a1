package notify

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever the names are, the tags stay within Grafana's limits, one value
// always gives one tag, and values that differ give tags that differ.
func FuzzTag(f *testing.F) {
	f.Add("ntp", "ntp2")
	f.Add(strings.Repeat("x", 200), strings.Repeat("x", 201))
	f.Add(strings.Repeat("ü", 60), "ü")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.TrimSpace(a), strings.TrimSpace(b)
		ta := tag("rollout", a)
		if len(ta) > len("rollout:")+maxTagValue {
			t.Errorf("%d bytes: %q", len(ta), ta)
		}
		if utf8.ValidString(a) && !utf8.ValidString(ta) {
			t.Errorf("tag cuts a character: %q", ta)
		}
		if (a == b) != (ta == tag("rollout", b)) {
			t.Errorf("%q and %q: tags %q and %q", a, b, ta, tag("rollout", b))
		}
	})
}

// A site's tag neither crowds out one of ours nor passes for one.
func TestSiteTagsComeLast(t *testing.T) {
	e := event(strings.Repeat("i", 300))
	e.Rollout, e.Stage, e.Track, e.Verdict = strings.Repeat("r", 300), strings.Repeat("s", 300), strings.Repeat("t", 300), "inconclusive"
	for range 50 {
		e.Tags = append(e.Tags, "dc:fra"+strings.Repeat("x", len(e.Tags)))
	}
	e.Tags = append([]string{"end:forged", "id:forged", "sluice", " team:dba "}, e.Tags...)
	region := eventTags(e, tagRegion)
	done := e
	done.ID = strings.Repeat("e", 300)
	for name, tags := range map[string][]string{"event": region, "end": endTags(region, done)} {
		size := 1
		for _, tag := range tags {
			size += len(tag) + 3
		}
		if size > 500 {
			t.Errorf("%s: %d bytes of tags", name, size)
		}
		for _, want := range []string{tagSluice, tagRegion, idTag(e), tag("rollout", e.Rollout), stageTag(e), "team:dba", "verdict:inconclusive"} {
			if !slices.Contains(tags, want) {
				t.Errorf("%s: %q is missing in %q", name, want, tags)
			}
		}
		if slices.Contains(tags, "end:forged") || slices.Contains(tags, "id:forged") {
			t.Errorf("%s: a forged tag is in %q", name, tags)
		}
	}
	if tags := endTags(region, done); !slices.Contains(tags, tag("end", done.ID)) {
		t.Errorf("the end is missing in %q", tags)
	}
}
