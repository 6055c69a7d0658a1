package pdbserver

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one result row, all columns, as it would be written out.
type row map[string]any

type kind int

const (
	text kind = iota
	flag
	instant
	tree   // reached by dotted names
	opaque // projected only
)

// entity is one query endpoint's columns.
type entity struct {
	name    string
	columns map[string]kind
}

type filter func(row) bool

// query is a compiled request: which rows, which columns (nil: all).
type query struct {
	match   filter
	columns []string
	count   bool // how many rows there are, instead of them
}

// badQuery is answered with 400 and plain text.
type badQuery string

func (b badQuery) Error() string { return string(b) }

func bad(format string, args ...any) error { return badQuery(fmt.Sprintf(format, args...)) }

// compile reads an AST query: nothing, a filter, or an extract.
func (e entity) compile(ast any) (query, error) {
	all := query{match: func(row) bool { return true }}
	if ast == nil {
		return all, nil
	}
	list, ok := ast.([]any)
	if !ok || len(list) == 0 {
		return all, bad("%v is not well-formed: queries must contain at least one operator", ast)
	}
	if list[0] != "extract" {
		m, err := e.filter(ast)
		return query{match: m}, err
	}
	if len(list) < 2 || len(list) > 3 {
		return all, bad("extract takes one or two arguments, got %d", len(list)-1)
	}
	var err error
	if all.count = isCount(list[1]); !all.count {
		if all.columns, err = e.projection(list[1]); err != nil {
			return all, err
		}
	}
	if len(list) == 3 {
		all.match, err = e.filter(list[2])
	}
	return all, err
}

// isCount recognizes [["function","count"]], the one function that is known here.
func isCount(v any) bool {
	list, _ := v.([]any)
	if len(list) != 1 {
		return false
	}
	call, _ := list[0].([]any)
	return len(call) == 2 && call[0] == "function" && call[1] == "count"
}

func (e entity) projection(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var names []string
	for _, c := range list {
		name, ok := c.(string)
		head, _, dotted := strings.Cut(name, ".")
		if k, known := e.columns[head]; !ok || !known || (dotted && k != tree) {
			return nil, bad("Can't extract unknown '%s' field '%v'", e.name, c)
		}
		names = append(names, name)
	}
	return names, nil
}

func (e entity) filter(v any) (filter, error) {
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return nil, bad("%v is not well-formed", v)
	}
	op, _ := list[0].(string)
	switch op {
	case "and", "or", "not":
		return e.logic(op, list[1:])
	case "=", ">", ">=", "<", "<=", "~", "in", "null?":
		if len(list) != 3 {
			return nil, bad("%s requires exactly two arguments", op)
		}
		return e.comparison(op, list[1], list[2])
	}
	return nil, bad("'%v' is not a valid operator", list[0])
}

func (e entity) logic(op string, args []any) (filter, error) {
	if op == "not" && len(args) != 1 {
		return nil, bad("'not' takes exactly one argument, but %d were supplied", len(args))
	}
	var parts []filter
	for _, a := range args {
		f, err := e.filter(a)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
	}
	return func(r row) bool {
		holds := func(f filter) bool { return f(r) }
		switch op {
		case "or":
			return slices.ContainsFunc(parts, holds)
		case "not":
			return !parts[0](r)
		}
		return !slices.ContainsFunc(parts, func(f filter) bool { return !f(r) })
	}, nil
}

func (e entity) comparison(op string, field, arg any) (filter, error) {
	name, ok := field.(string)
	head, _, dotted := strings.Cut(name, ".")
	k, known := e.columns[head]
	if !ok || !known || k == opaque || dotted != (k == tree) {
		return nil, bad("'%v' is not a queryable object for %s", field, e.name)
	}
	switch op {
	case "~":
		return matches(name, arg)
	case "in":
		return contained(name, arg)
	case "null?":
		return func(r row) bool { return (r.get(name) == nil) == (arg == true) }, nil
	case "=":
		if k == instant {
			return ordered(op, name, k, arg)
		}
		return func(r row) bool { v := r.get(name); return v != nil && same(v, arg) }, nil
	}
	return ordered(op, name, k, arg)
}

func matches(name string, arg any) (filter, error) {
	pattern, ok := arg.(string)
	re, err := regexp.Compile(pattern)
	if !ok || err != nil {
		return nil, bad("%v is not a regular expression", arg)
	}
	return func(r row) bool { s, ok := r.get(name).(string); return ok && re.MatchString(s) }, nil
}

func contained(name string, arg any) (filter, error) {
	list, _ := arg.([]any)
	if len(list) != 2 || list[0] != "array" {
		return nil, bad("in: only [\"array\", [...]] is known here")
	}
	values, ok := list[1].([]any)
	if !ok {
		return nil, bad("in: array takes a list")
	}
	return func(r row) bool {
		v := r.get(name)
		return v != nil && slices.ContainsFunc(values, func(w any) bool { return same(v, w) })
	}, nil
}

func ordered(op, name string, k kind, arg any) (filter, error) {
	if k != instant && k != tree {
		return nil, bad("Query operators >,>=,<,<= are not allowed on field %s", name)
	}
	want, ok := number(arg, k)
	if !ok {
		return nil, bad("Argument \"%v\" is incompatible with the field %s", arg, name)
	}
	return func(r row) bool {
		have, ok := number(r.get(name), k)
		switch {
		case !ok:
			return false
		case op == "=":
			return have == want
		case op == ">":
			return have > want
		case op == ">=":
			return have >= want
		case op == "<":
			return have < want
		}
		return have <= want
	}, nil
}

// number maps what can be ordered to one axis: times to milliseconds.
func number(v any, k kind) (float64, bool) {
	if s, ok := v.(string); ok && k == instant {
		t, err := time.Parse(time.RFC3339, s)
		return float64(t.UnixMilli()), err == nil
	}
	if n, ok := v.(json.Number); ok {
		f, err := strconv.ParseFloat(n.String(), 64)
		return f, err == nil
	}
	f, ok := v.(float64)
	return f, ok
}

func same(a, b any) bool {
	return fmt.Sprint(a) == fmt.Sprint(b) && fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b)
}

// get follows a dotted name.
func (r row) get(name string) any {
	var v any = map[string]any(r)
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// mentions reports whether a query speaks about a field anywhere.
func mentions(ast any, field string) bool {
	list, ok := ast.([]any)
	return ok && slices.ContainsFunc(list, func(v any) bool { return v == any(field) || mentions(v, field) }) || ast == any(field)
}
