package puppetdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	window   = 64 << 10 // bytes read at once
	leanRow  = 1 << 20  // longest row of plain columns, bytes
	heavyRow = 64 << 20 // longest row with logs, events or facts, bytes
)

// errShort says that the bytes at hand end inside a row.
var errShort = errors.New("row goes on")

// stream cuts the rows out of one JSON array as it arrives.
type stream struct {
	r     io.Reader
	buf   []byte
	i, j  int // buf[i:j] was read and not yet used
	limit int // longest row, bytes
}

// each calls row for every object in the array that r carries. row gets bytes
// that begin with '{', and returns how many of them the object takes, or
// errShort to be called again with more of them.
//
// It returns nil only when the array was closed and r ended after it: PuppetDB
// reports a query that died after the first row by ending the body, with
// HTTP 200.
func each(r io.Reader, limit int, row func([]byte) (int, error)) error {
	s := &stream{r: r, buf: make([]byte, window), limit: limit}
	if c, err := s.next(); err != nil || c != '[' {
		return s.wrong(0, c, err, "[")
	}
	c, err := s.next()
	if err == nil && c == ']' {
		return s.tail(0)
	}
	for n := 1; ; n++ {
		if err != nil || c != '{' {
			return s.wrong(n, c, err, "{")
		}
		s.i-- // the brace belongs to the row
		if err := s.take(row); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		c, err = s.next()
		if err == nil && c == ']' {
			return s.tail(n)
		}
		if err != nil || c != ',' {
			return s.wrong(n, c, err, ", or ]")
		}
		c, err = s.next()
	}
}

// next returns the next byte that is not white space.
func (s *stream) next() (byte, error) {
	for {
		for s.i < s.j {
			c := s.buf[s.i]
			s.i++
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				return c, nil
			}
		}
		if err := s.fill(1); err != nil {
			return 0, err
		}
	}
}

// take hands the row at the front to row, reading on until it is complete.
func (s *stream) take(row func([]byte) (int, error)) error {
	for {
		n, err := row(s.buf[s.i:s.j])
		if err == nil {
			s.i += n
			return nil
		}
		if !errors.Is(err, errShort) {
			return err
		}
		have := s.j - s.i
		if have >= s.limit {
			return fmt.Errorf("longer than %d bytes", s.limit)
		}
		// Doubling keeps the repeated parsing of long rows linear.
		if err := s.fill(max(have, 1)); err != nil {
			return fmt.Errorf("answer cut off: %w", unexpected(err))
		}
	}
}

// fill reads at least want more bytes, or to the end if at least one came.
func (s *stream) fill(want int) error {
	copy(s.buf, s.buf[s.i:s.j])
	s.i, s.j = 0, s.j-s.i
	if len(s.buf)-s.j < want {
		grown := make([]byte, max(2*len(s.buf), s.j+want))
		copy(grown, s.buf[:s.j])
		s.buf = grown
	}
	n, err := io.ReadAtLeast(s.r, s.buf[s.j:], want)
	s.j += n
	if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// tail demands that nothing but white space follows the array of n rows.
func (s *stream) tail(n int) error {
	c, err := s.next()
	if err == nil {
		return fmt.Errorf("after %d rows: %q behind the closing ]", n, c)
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("after %d rows: %w", n, err)
	}
	return nil
}

func (s *stream) wrong(n int, c byte, err error, want string) error {
	if err != nil {
		return fmt.Errorf("row %d: answer cut off: %w", n, unexpected(err))
	}
	return fmt.Errorf("row %d: found %q, expected %s", n, c, want)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// objects returns a row function for each that decodes every row into a new V
// and hands it to fn. Numbers in untyped places keep their digits.
func objects[V any](fn func(V) error) func([]byte) (int, error) {
	return func(b []byte) (int, error) {
		n, err := objectLen(b)
		if err != nil {
			return 0, err
		}
		var v V
		if err := json.Unmarshal(b[:n], &v); err != nil {
			return 0, err
		}
		return n, fn(v)
	}
}

// objectLen returns the length of the JSON object or array that b begins with.
// It matches brackets only; whether the inside is JSON is for its decoder.
func objectLen(b []byte) (int, error) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		}
	}
	return 0, errShort
}
