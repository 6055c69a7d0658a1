package enc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// flagsEnd closes the rendered flags, so that a torn file can be told from a short one.
const flagsEnd = "end"

// DecodeFlags reads the rendered flags: one line per flag, key and value as JSON strings, and a last line
// "end". Lines are independent of each other: what can be read counts even where the rest is torn,
// because a stop must act whatever is wrong beside it. The error says that something was not read.
func DecodeFlags(data []byte) (map[string]string, error) {
	tree := map[string]string{}
	var problem error
	ended := false
	for n, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case string(line) == flagsEnd:
			ended = true
		default:
			key, value, err := decodeFlag(line)
			if err != nil {
				problem = errors.Join(problem, fmt.Errorf("flags: line %d: %w", n+1, err))
				continue
			}
			tree[key] = value
		}
	}
	if !ended {
		problem = errors.Join(problem, errors.New("flags: the file is torn: no line \"end\""))
	}
	return tree, problem
}

func decodeFlag(line []byte) (key, value string, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(&key); err != nil {
		return "", "", fmt.Errorf("expected \"KEY\" \"VALUE\": %w", err)
	}
	if err := dec.Decode(&value); err != nil {
		return "", "", fmt.Errorf("expected \"KEY\" \"VALUE\": %w", err)
	}
	if dec.More() {
		return "", "", errors.New("expected nothing after the value")
	}
	return key, value, nil
}

// SortedKeys are the keys of a map in order, for everything that a person or a digest sees.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
