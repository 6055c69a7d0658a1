package verb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
)

// Kind is the class of an error: an exit code of the command line, a status of the API.
type Kind int

// The classes. What is no *Error is the store's.
const (
	Wrong      Kind = iota + 1 // what is asked for is not in order
	Missing                    // there is no such thing
	Refused                    // it has no meaning now, or somebody is ahead
	Queued                     // it waits for a leader, longer than was to be waited
	Unreadable                 // what it depends on cannot be read
)

// Field is the name of a field of Ask in a text. The command line writes it as its flag.
type Field string

// Error says why a verb was not carried out.
type Error struct {
	Kind    Kind
	Field   string     // path in Ask, such as "rollouts[1]"; "" where it is no field's fault
	Rollout string     // "" where it is of none
	Phase   gate.Phase // of that rollout, where the phase is the reason
	Phased  bool       // whether Phase is set
	format  string
	args    []any
}

// Error spells fields as the API does.
func (e *Error) Error() string { return e.Spell(func(f Field) string { return string(f) }) }

// Spell writes the text with each field as spell writes it.
func (e *Error) Spell(spell func(Field) string) string {
	args := make([]any, len(e.args))
	for i, a := range e.args {
		if f, ok := a.(Field); ok {
			a = spell(f)
		}
		args[i] = a
	}
	return fmt.Sprintf(e.format, args...)
}

// Partly says that a verb was carried out for some rollouts and refused for others.
type Partly struct {
	Done   []string
	Failed []*Error // each with its Rollout
}

func (p *Partly) Error() string { return p.Spell(func(f Field) string { return string(f) }) }

// Spell is a line for each rollout that was left out.
func (p *Partly) Spell(spell func(Field) string) string {
	lines := []string{fmt.Sprintf("not for %d of %d rollouts:", len(p.Failed), len(p.Done)+len(p.Failed))}
	for _, e := range p.Failed {
		lines = append(lines, "  "+e.Rollout+": "+e.Spell(spell))
	}
	return strings.Join(lines, "\n")
}

func wrong(field string, format string, args ...any) error {
	return &Error{Kind: Wrong, Field: field, format: format, args: args}
}

func missing(field string, format string, args ...any) error {
	return &Error{Kind: Missing, Field: field, format: format, args: args}
}

func refused(format string, args ...any) error {
	return &Error{Kind: Refused, format: format, args: args}
}

func unreadable(format string, args ...any) error {
	return &Error{Kind: Unreadable, format: format, args: args}
}

// of says which rollout an error is about.
func of(name string, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Rollout == "" {
		e.Rollout = name
	}
	return err
}

// in says that the phase of a rollout is the reason.
func in(p gate.Phase, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Phase, e.Phased = p, true
	}
	return err
}
