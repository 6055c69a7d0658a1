package verb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
)

// fields are the names of Ask in JSON, with where each is.
var fields = func() map[string]int {
	out := map[string]int{}
	for i, t := 0, reflect.TypeFor[Ask](); i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = i
	}
	return out
}()

// Decode reads an Ask from JSON: one object, nothing after it, every field once, with its exact name and a value of its kind.
// An error is an *Error of kind Wrong that names the field, or the reader's.
func (v Verb) Decode(in io.Reader) (Ask, error) {
	var a Ask
	dec := json.NewDecoder(in)
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return a, v.torn(err)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return a, v.torn(err)
		}
		name, _ := t.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return a, v.torn(err)
		}
		if err := v.field(&a, name, raw, seen); err != nil {
			return a, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return a, v.torn(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return a, wrong("", "%s: expected nothing after the object", v.Name)
	}
	return a, nil
}

// field takes one field over.
func (v Verb) field(a *Ask, name string, raw json.RawMessage, seen map[string]bool) error {
	i, known := fields[name]
	switch {
	case !known || name != "reason" && !slices.Contains(v.Fields, name):
		return wrong(name, "%s: %q is no field of it; expected of reason, %s", v.Name, name, strings.Join(v.Fields, ", "))
	case seen[name]:
		return wrong(name, "%s: %s is given twice", v.Name, name)
	}
	seen[name] = true
	into := reflect.ValueOf(a).Elem().Field(i)
	if bytes.Equal(raw, []byte("null")) {
		return wrong(name, "%s: %s: expected %s, got null", v.Name, name, kinds[into.Kind()])
	}
	var unfit *json.UnmarshalTypeError
	switch err := json.Unmarshal(raw, into.Addr().Interface()); {
	case errors.As(err, &unfit):
		return wrong(name, "%s: %s: expected %s, got %s", v.Name, name, kinds[into.Kind()], unfit.Value)
	case err != nil:
		return wrong(name, "%s: %s: %v", v.Name, name, err)
	}
	return nil
}

var kinds = map[reflect.Kind]string{reflect.String: "a string", reflect.Bool: "true or false", reflect.Slice: "a list of strings", reflect.Map: "an object"}

// torn says what is wrong with the text as such.
func (v Verb) torn(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return wrong("", "%s: expected a JSON object", v.Name)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("", "%s: expected a JSON object, and it ends too early", v.Name)
	case errors.As(err, &syntax):
		return wrong("", "%s: expected a JSON object: %v at byte %d", v.Name, syntax, syntax.Offset)
	}
	return err
}
