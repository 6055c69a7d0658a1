package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxTagValue keeps values under the 100 characters of Grafana's tag table
	// and all of an event's own tags under maxTags together, in bytes.
	maxTagValue = 56
	// maxTags is below the 500 bytes that Grafana allows for the JSON array.
	maxTags = 490

	tagSluice = "sluice"
	// tagRegion marks a stage's region; every other annotation is a point.
	tagRegion = "kind:stage"
	tagEnd    = "end:"
)

// tag returns "key:value" within Grafana's limits. A value that is too long
// keeps its head, for people, and gets a digest, for identity.
func tag(key, value string) string {
	value = strings.TrimSpace(value)
	if len(value) > maxTagValue {
		sum := sha256.Sum256([]byte(value))
		value = strings.ToValidUTF8(value[:maxTagValue-17], "") + "~" + hex.EncodeToString(sum[:8])
	}
	return key + ":" + value
}

func idTag(e Event) string { return tag("id", e.ID) }

// stageTag names the stage, or "" for an event of the whole rollout.
func stageTag(e Event) string {
	if e.Stage == "" {
		return ""
	}
	return tag("stage", e.Stage)
}

// eventTags are the tags of the annotation that e makes: those that sluice
// finds it by come first, the site's own follow while there is room.
func eventTags(e Event, kind string) []string {
	tags := []string{tagSluice, tag("rollout", e.Rollout)}
	if s := stageTag(e); s != "" {
		tags = append(tags, s)
	}
	tags = append(tags, kind, idTag(e))
	if e.Track != "" {
		tags = append(tags, tag("track", e.Track))
	}
	if e.Verdict != "" {
		tags = append(tags, tag("verdict", e.Verdict))
	}
	return addTags(tags, e.Tags)
}

// endTags are a region's tags once e has ended it.
func endTags(region []string, e Event) []string {
	must := []string{tag("end", e.ID)}
	if e.Verdict != "" {
		must = append(must, tag("verdict", e.Verdict))
	}
	// What sluice needs goes before the site's tags, or a full list would
	// leave the region without its end.
	own := slices.DeleteFunc(slices.Clone(region), func(t string) bool { return !ownTag(t) })
	return addTags(append(own, must...), append(slices.Clone(region), e.Tags...))
}

func ownTag(t string) bool {
	if t == tagSluice {
		return true
	}
	key, _, ok := strings.Cut(t, ":")
	return ok && slices.Contains([]string{"rollout", "stage", "kind", "id", "track", "end"}, key)
}

// addTags appends the extra tags that fit, without doubles. An extra one may
// not pass for one of ours.
func addTags(tags, extra []string) []string {
	size := 2
	for _, t := range tags {
		size += len(strconv.Quote(t)) + 1
	}
	for _, t := range extra {
		t = strings.TrimSpace(t)
		if t == "" || len(t) > 100 || ownTag(t) || slices.Contains(tags, t) {
			continue
		}
		if size += len(strconv.Quote(t)) + 1; size > maxTags {
			break
		}
		tags = append(tags, t)
	}
	return tags
}
