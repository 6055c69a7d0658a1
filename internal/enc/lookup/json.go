package lookup

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// reader reads the JSON that `accept` wrote without reflection: encoding/json takes as long to learn the types
// as the rest of a lookup takes. It is stricter too: unknown and repeated members, invalid
// UTF-8 and half surrogates are errors, so a file of another version or a damaged one is never half
// understood. The first error stays; after it every method returns zero values and reads nothing.
//
// It reads a string, so that what it returns is cut from it and not copied.
type reader struct {
	data string
	at   int
	err  error
}

// maxDepth bounds what raw descends into.
const maxDepth = 100

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = errors.New("byte " + strconv.Itoa(r.at) + ": " + what)
	}
}

// peek is the next byte that is not white space, 0 at the end and after an error.
func (r *reader) peek() byte {
	for ; r.err == nil && r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (r *reader) expect(c byte) bool {
	if r.peek() != c || r.at >= len(r.data) {
		r.fail("expected " + strconv.Quote(string(rune(c))))
		return false
	}
	r.at++
	return true
}

func (r *reader) word(w string) bool {
	if r.err == nil && len(r.data)-r.at >= len(w) && r.data[r.at:r.at+len(w)] == w {
		r.at += len(w)
		return true
	}
	return false
}

// end says whether all was read without error.
func (r *reader) end() error {
	if r.peek(); r.err == nil && r.at < len(r.data) {
		r.fail("expected nothing more")
	}
	return r.err
}

// object calls field for every member; field reads the value. null is an object without members.
func (r *reader) object(field func(key string)) {
	if r.peek() == 'n' && r.word("null") || !r.expect('{') {
		return
	}
	if r.peek() == '}' {
		r.at++
		return
	}
	var few [16]string // on the stack
	seen := few[:0]
	for r.err == nil {
		key := r.text()
		for _, s := range seen {
			if s == key {
				r.fail("member " + strconv.Quote(key) + " twice")
			}
		}
		seen = append(seen, key)
		if r.expect(':') {
			field(key)
		}
		if r.peek() == '}' {
			r.at++
			return
		}
		r.expect(',')
	}
}

func (r *reader) unknown(key string) { r.fail("unknown member " + strconv.Quote(key)) }

// array calls element for every element; element reads it. null is an array without elements.
func (r *reader) array(element func()) {
	if r.peek() == 'n' && r.word("null") || !r.expect('[') {
		return
	}
	if r.peek() == ']' {
		r.at++
		return
	}
	for r.err == nil {
		element()
		if r.peek() == ']' {
			r.at++
			return
		}
		r.expect(',')
	}
}

func (r *reader) boolean() bool {
	switch r.peek(); {
	case r.word("true"):
		return true
	case r.word("false"):
	default:
		r.fail("expected true or false")
	}
	return false
}

func (r *reader) integer() int {
	n, err := strconv.Atoi(r.number())
	if err != nil {
		r.fail("expected an integer")
	}
	return n
}

func (r *reader) unsigned() uint64 {
	n, err := strconv.ParseUint(r.number(), 10, 64)
	if err != nil {
		r.fail("expected an integer from 0")
	}
	return n
}

// number returns the text of a number: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
func (r *reader) number() string {
	r.peek()
	start := r.at
	r.word("-")
	whole := r.at
	if n := r.digits(); n == 0 || n > 1 && r.data[whole] == '0' {
		r.fail("expected a number")
	}
	if r.word(".") && r.digits() == 0 {
		r.fail("expected digits after the point")
	}
	if r.word("e") || r.word("E") {
		if !r.word("+") {
			r.word("-")
		}
		if r.digits() == 0 {
			r.fail("expected digits of an exponent")
		}
	}
	if r.err != nil {
		return ""
	}
	return r.data[start:r.at]
}

func (r *reader) digits() int {
	start := r.at
	for r.err == nil && r.at < len(r.data) && r.data[r.at] >= '0' && r.data[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}

// raw passes over one value of any kind and returns its bytes, which are then known to be JSON.
func (r *reader) raw(depth int) Raw {
	if depth > maxDepth {
		r.fail("nested too deeply")
	}
	c := r.peek()
	start := r.at
	switch c {
	case '{':
		r.object(func(string) { r.raw(depth + 1) })
	case '[':
		r.array(func() { r.raw(depth + 1) })
	case '"':
		r.text()
	case 't', 'f':
		r.boolean()
	case 'n':
		if !r.word("null") {
			r.fail("expected null")
		}
	default:
		r.number()
	}
	if r.err != nil {
		return ""
	}
	return Raw(r.data[start:r.at])
}

// text reads a string.
func (r *reader) text() string {
	if !r.expect('"') {
		return ""
	}
	start := r.at
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case c == '"':
			s := r.data[start:r.at]
			if !utf8.ValidString(s) {
				r.fail("invalid UTF-8 in a string")
				return ""
			}
			r.at++
			return s
		case c == '\\':
			return r.escaped([]byte(r.data[start:r.at]))
		case c < ' ':
			r.fail("control character in a string")
			return ""
		}
	}
	r.fail("a string without end")
	return ""
}

// escaped reads on from the first backslash; out is what stood before it.
func (r *reader) escaped(out []byte) string {
	for r.err == nil && r.at < len(r.data) {
		c := r.data[r.at]
		r.at++
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				r.fail("invalid UTF-8 in a string")
				return ""
			}
			return string(out)
		case c == '\\':
			out = r.escape(out)
		case c < ' ':
			r.fail("control character in a string")
		default:
			out = append(out, c)
		}
	}
	r.fail("a string without end")
	return ""
}

const (
	escapes = `"\/bfnrt`
	escaped = "\"\\/\b\f\n\r\t"
)

func (r *reader) escape(out []byte) []byte {
	for i := range len(escapes) {
		if r.word(escapes[i : i+1]) {
			return append(out, escaped[i])
		}
	}
	c := r.unicode()
	if utf16.IsSurrogate(c) {
		low := rune(-1)
		if r.word(`\`) {
			low = r.unicode()
		}
		if c = utf16.DecodeRune(c, low); c == utf8.RuneError {
			r.fail("half a surrogate pair")
		}
	}
	return utf8.AppendRune(out, c)
}

func (r *reader) unicode() rune {
	if r.word("u") && len(r.data)-r.at >= 4 {
		n, err := strconv.ParseUint(r.data[r.at:r.at+4], 16, 16)
		if err == nil {
			r.at += 4
			return rune(n)
		}
	}
	r.fail("invalid escape")
	return 0
}
