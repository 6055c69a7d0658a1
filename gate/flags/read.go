// Package flags reads the plain toggles that people write under flags/ and latches the stops among
// them. The leader and every edge use it, so a mistyped value means the same on both sides.
//
//	consul kv put sluice/flags/ntp/pause true
//
// The first word of a value is the toggle; what follows is a comment for people.
package flags

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Toggle is what a flag's value is read as.
type Toggle int

// The readings of a toggle. An absent or empty flag is Unset, which is not the same as Released.
const (
	Unset Toggle = iota
	Released
	Set
	Unreadable
)

// ReadToggle reads the first word of a value.
func ReadToggle(value string) Toggle {
	switch word, _ := firstWord(value); strings.ToLower(word) {
	case "":
		return Unset
	case "true", "1", "on", "yes":
		return Set
	case "false", "0", "off", "no":
		return Released
	}
	return Unreadable
}

// Stops says whether the toggle stops: an unreadable one does.
func (t Toggle) Stops() bool { return t == Set || t == Unreadable }

// Delay is what a `delay` flag is read as: until a time, for a while from when the leader first saw it, or,
// where it cannot be read, without end. The zero value is no delay.
type Delay struct {
	Until   time.Time
	For     time.Duration
	Endless bool
	Raw     string
	// Released: an explicit false. A flag that is gone ends no delay.
	Released bool
}

// ReadDelay reads a time (RFC 3339), a duration (Go's, plus d and w: 90m, 2d), or a release ("false").
func ReadDelay(value string) Delay {
	word, _ := firstWord(value)
	switch ReadToggle(value) {
	case Unset:
		return Delay{}
	case Released:
		return Delay{Released: true}
	}
	d := Delay{Raw: value}
	if t, err := time.Parse(time.RFC3339, word); err == nil {
		d.Until = t
		return d
	}
	if v, err := ParseDuration(word); err == nil && v > 0 {
		d.For = v
		return d
	}
	d.Endless = true
	return d
}

// ParseDuration is time.ParseDuration that also knows days (24 h) and weeks: 1d12h, 2w.
func ParseDuration(s string) (time.Duration, error) {
	var total time.Duration
	rest := s
	for _, unit := range []struct {
		suffix byte
		length time.Duration
	}{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}} {
		if i := strings.IndexByte(rest, unit.suffix); i >= 0 {
			n, err := strconv.ParseInt(rest[:i], 10, 32)
			if err != nil || n < 0 || n > 3650 {
				return 0, fmt.Errorf("duration %q: expected a number before %c", s, unit.suffix)
			}
			total += time.Duration(n) * unit.length
			rest = rest[i+1:]
		}
	}
	if rest == "" && s != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, fmt.Errorf("duration %q: expected 90s, 30m, 2h, 1d or 1w", s)
	}
	return total + d, nil
}

// Reading is everything below flags/, read.
type Reading struct {
	Freeze   Toggle
	Force    uint64 // the one generation that may pass the speed limit; 0 = none
	Rollouts map[string]*Rollout
	Loud     []string // values and keys that could not be read, each as a sentence
	Comments map[string]string
}

// Rollout is what people say about one rollout.
type Rollout struct {
	Pause   Toggle
	BackOut Toggle
	Delay   Delay
	Approve map[string]Toggle // by stage
	Said    map[string]string // the approvals as they were written, by stage
}

// Read reads the tree below flags/: keys without that prefix, such as "ntp/pause" or "freeze".
func Read(tree map[string]string) Reading {
	r := Reading{Rollouts: map[string]*Rollout{}, Comments: map[string]string{}}
	keys := make([]string, 0, len(tree))
	for k := range tree {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if k == "" || strings.HasSuffix(k, "/") {
			continue // a folder, as Consul's own page makes them
		}
		if _, comment := firstWord(tree[k]); comment != "" {
			r.Comments[k] = comment
		}
		r.readKey(k, tree[k])
	}
	return r
}

func (r *Reading) readKey(key, value string) {
	name, rest, nested := strings.Cut(key, "/")
	switch {
	case key == "freeze":
		t := ReadToggle(value)
		if r.Freeze != Unreadable { // a misplaced flag freezes, whatever this one says
			r.Freeze = t
		}
		r.complain(key, value, t, "read as frozen")
	case key == "force":
		r.readForce(value)
	case !nested:
		// Somebody who wrote flags/NAME meant to stop something; which, nobody can tell.
		if ReadToggle(value).Stops() {
			r.Freeze = Unreadable
			r.Loud = append(r.Loud, fmt.Sprintf("flags/%s is not a flag (expected flags/NAME/pause or flags/freeze): everything is frozen", key))
		}
	default:
		r.readRollout(key, name, rest, value)
	}
}

func (r *Reading) readRollout(key, name, rest, value string) {
	f := r.Rollouts[name]
	if f == nil {
		f = &Rollout{Approve: map[string]Toggle{}, Said: map[string]string{}}
		r.Rollouts[name] = f
	}
	stage, isApproval := strings.CutPrefix(rest, "approve/")
	switch {
	case rest == "pause":
		t := ReadToggle(value)
		if f.Pause != Unreadable { // an unknown key beside it pauses, whatever this one says
			f.Pause = t
		}
		r.complain(key, value, t, "read as paused")
	case rest == "backout":
		if f.BackOut = ReadToggle(value); f.BackOut == Unreadable {
			f.Pause = Unreadable
		}
		r.complain(key, value, f.BackOut, "read as paused, not as backed out")
	case rest == "delay":
		if f.Delay = ReadDelay(value); f.Delay.Endless {
			r.Loud = append(r.Loud, fmt.Sprintf("flags/%s: %q is neither a time nor a duration (expected 2h or 2026-01-31T08:00:00Z): held with no end", key, value))
		}
	case isApproval && stage != "" && !strings.Contains(stage, "/"):
		f.Approve[stage], f.Said[stage] = ReadToggle(value), value
		r.complain(key, value, f.Approve[stage], "not read as an approval")
	default:
		f.Pause = Unreadable
		r.Loud = append(r.Loud, fmt.Sprintf("flags/%s is not a flag (expected pause, backout, delay or approve/STAGE): %s is paused", key, name))
	}
}

func (r *Reading) readForce(value string) {
	word, _ := firstWord(value)
	if ReadToggle(value) == Unset || ReadToggle(value) == Released && word != "1" {
		return
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		r.Loud = append(r.Loud, fmt.Sprintf("flags/force: %q is not a generation: the speed limit holds", value))
		return
	}
	r.Force = n
}

func (r *Reading) complain(key, value string, t Toggle, meaning string) {
	if t == Unreadable {
		r.Loud = append(r.Loud, fmt.Sprintf("flags/%s: %q is not true or false: %s", key, value, meaning))
	}
}

func firstWord(value string) (word, rest string) {
	value = strings.TrimSpace(value)
	if i := strings.IndexFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }); i >= 0 {
		return value[:i], strings.TrimSpace(value[i:])
	}
	return value, ""
}
