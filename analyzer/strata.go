package analyzer

import (
	"maps"
	"slices"
	"strings"
)

// LeastInStratum is how many controls a stratum should have, so that one failure among them does not say everything.
const LeastInStratum = 50

// MergeStrata names the strata of nodes by the values of the attributes in Policy.Strata, in their order, keyed by
// StratumKey. Strata with fewer than least nodes are merged with their like over the last attribute, then over the one
// before it, and so on.
func MergeStrata(nodes map[string]int, attributes, least int) (names map[string]string) {
	names = map[string]string{}
	small := maps.Clone(nodes)
	for level := attributes; level >= 0; level-- {
		merged := map[string]int{}
		for key, n := range small {
			merged[prefix(key, level)] += n
		}
		for key := range maps.Clone(small) {
			name := prefix(key, level)
			if merged[name] < least && level > 0 {
				continue
			}
			names[key] = describeStratum(name, level, attributes)
			delete(small, key)
		}
	}
	return names
}

// StratumKey joins the values of one node.
func StratumKey(values []string) string { return strings.Join(values, "\x00") }

func prefix(key string, level int) string {
	values := strings.Split(key, "\x00")
	return strings.Join(values[:min(level, len(values))], "\x00")
}

// describeStratum writes the values for people, * for those that were merged over.
func describeStratum(name string, level, attributes int) string {
	if attributes == 0 {
		return ""
	}
	var values []string
	if level > 0 {
		values = strings.Split(name, "\x00")
	}
	for i, v := range values {
		if v == "" {
			values[i] = "-"
		}
	}
	return strings.Join(append(values, slices.Repeat([]string{"*"}, attributes-level)...), "/")
}
