package analyzer

import (
	"fmt"
	"regexp"
	"strings"
)

// class separates failures to get a catalog from failures to apply one.
type class int

const (
	compileClass class = iota
	resourceClass
)

func (c class) String() string {
	if c == compileClass {
		return "compile"
	}
	return "new_failures"
}

// check is the one that counts such failures.
func (c class) check() int {
	if c == compileClass {
		return compileEvents
	}
	return failureEvents
}

// signature is what makes two failures the same failure on two nodes.
type signature struct {
	class class
	// keys: two signatures are the same if they share one. None means that the report
	// does not say what failed, and then it may be any failure of its class.
	keys []string
	Failure
}

func (s signature) known() bool { return len(s.keys) > 0 }

func (s signature) matches(o signature) bool {
	if s.class != o.class {
		return false
	}
	if !s.known() || !o.known() {
		return true
	}
	for _, a := range s.keys {
		for _, b := range o.keys {
			if a == b {
				return true
			}
		}
	}
	return false
}

// describe names the failure for people.
func (f Failure) describe() string {
	what := f.Resource
	if f.Kind == KindCompile {
		what = "a compile error"
		if f.Message != "" {
			what = fmt.Sprintf("the compile error %q", shorten(f.Message))
		}
	}
	if what == "" {
		what = "a failed run that names no resource"
	}
	if f.File != "" {
		what += fmt.Sprintf(" (%s:%d)", f.File, f.Line)
	}
	return what
}

func shorten(s string) string {
	const most = 160
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// signatures lists what failed in a run, nothing if it did not fail.
func signatures(o observed) []signature {
	c, kind := resourceClass, KindResource
	switch o.Outcome {
	case CompileFailed, HiddenCompileFailure:
		// What the cached catalog then did says nothing about the code of now.
		c, kind = compileClass, KindCompile
	case Failed:
	default:
		return nil
	}
	var out []signature
	if o.Detail != nil {
		for _, f := range o.Detail.Failures {
			if f.Kind == kind {
				out = append(out, signature{class: c, keys: keysOf(f, o.Certname), Failure: f})
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	unnamed := signature{class: c, Failure: Failure{Kind: kind}}
	if o.Detail != nil && c == resourceClass {
		unnamed.keys = []string{"run"} // an exception or a dependency cycle: no resource is to blame
	}
	return []signature{unnamed}
}

var (
	// The same manifest has another path in every environment.
	environmentPath = regexp.MustCompile(`/environments/[^/\s]+/`)
	// Puppet ends a message with where it happened and on which node.
	location = regexp.MustCompile(`\s*\(file: [^)]*\)`)
	spaces   = regexp.MustCompile(`\s+`)
	// What differs from node to node within one error: what is quoted, and numbers.
	particular = regexp.MustCompile(`'[^']*'|"[^"]*"|\b[0-9][0-9a-fx.:-]*\b`)
)

// keysOf returns Type[title] of a resource; the message of a compile error, or file:line where it
// has none, without the names of the node and the environment, and without what is particular to one
// node. The place alone does not tell: two changes may break at the same line for different reasons.
func keysOf(f Failure, certname string) []string {
	anywhere := func(s string) string {
		if certname != "" {
			s = strings.ReplaceAll(s, certname, "NODE")
		}
		return environmentPath.ReplaceAllString(s, "/environments/*/")
	}
	if f.Resource != "" {
		return []string{"resource " + anywhere(f.Resource)}
	}
	message := particular.ReplaceAllString(anywhere(location.ReplaceAllString(f.Message, "")), "*")
	switch message = strings.TrimSpace(spaces.ReplaceAllString(message, " ")); {
	case message != "":
		return []string{"says " + message}
	case f.File != "" && f.Line > 0:
		return []string{fmt.Sprintf("at %s:%d", anywhere(f.File), f.Line)}
	}
	return nil
}
