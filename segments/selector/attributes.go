package selector

import (
	"fmt"
	"strconv"
	"strings"
)

// Of gives the attributes of a node from its trees: facts and trusted as PuppetDB's inventory has
// them, enc as the site's ENC answers (environment, classes, and every parameter by its name).
// A dotted name walks into maps and, by number, into lists: facts.networking.interfaces.eth0.ip.
func Of(certname string, facts, trusted, enc map[string]any) Attributes {
	return func(name string) string {
		if name == Certname {
			return certname
		}
		root, path, _ := strings.Cut(name, ".")
		switch root {
		case "facts":
			return walk(facts, path)
		case "trusted":
			return walk(trusted, path)
		case "enc":
			return walk(enc, path)
		}
		return ""
	}
}

// walk follows the path; keys may hold dots themselves, so the longest key that fits is tried first.
func walk(v any, path string) string {
	if path == "" {
		return scalar(v)
	}
	switch t := v.(type) {
	case map[string]any:
		for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
			if sub, ok := t[path[:end]]; ok {
				return walk(sub, strings.TrimPrefix(path[end:], "."))
			}
		}
	case []any:
		head, rest, _ := strings.Cut(path, ".")
		if i, err := strconv.Atoi(head); err == nil && i >= 0 && i < len(t) {
			return walk(t[i], rest)
		}
	}
	return ""
}

// scalar writes a leaf the way Puppet would interpolate it; a tree has no value.
func scalar(v any) string {
	switch t := v.(type) {
	case nil, map[string]any, []any:
		return ""
	case string:
		return t
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	default:
		return fmt.Sprint(t)
	}
}
