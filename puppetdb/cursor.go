package puppetdb

import (
	"encoding/json"
	"fmt"
	"time"
)

// cursor reads JSON tokens from b. Every method returns errShort when b ends
// before the token does.
type cursor struct {
	b []byte
	i int
}

// token skips white space and returns the byte it stops at, not consumed.
func (c *cursor) token() (byte, error) {
	for ; c.i < len(c.b); c.i++ {
		switch ch := c.b[c.i]; ch {
		case ' ', '\n', '\r', '\t':
		default:
			return ch, nil
		}
	}
	return 0, errShort
}

func (c *cursor) expect(want byte) error {
	ch, err := c.token()
	if err != nil {
		return err
	}
	if ch != want {
		return fmt.Errorf("found %q, expected %q", ch, want)
	}
	c.i++
	return nil
}

// plain holds the bytes that stand for themselves in a JSON string. Bytes from
// 0x80 on are left to encoding/json, which knows what to do with bad UTF-8.
var plain = func() (t [256]bool) {
	for i := 0x20; i < 0x80; i++ {
		t[i] = i != '"' && i != '\\'
	}
	return t
}()

// str reads a string and returns its value, valid until b changes.
func (c *cursor) str() ([]byte, error) {
	if err := c.expect('"'); err != nil {
		return nil, err
	}
	start, i := c.i, c.i
	for i < len(c.b) && plain[c.b[i]] {
		i++
	}
	if i < len(c.b) && c.b[i] == '"' {
		c.i = i + 1
		return c.b[start:i], nil
	}
	for i < len(c.b) && c.b[i] != '"' {
		if c.b[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(c.b) {
		return nil, errShort
	}
	c.i = i + 1
	var s string
	if err := json.Unmarshal(c.b[start-1:c.i], &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}

// null reads a string or null; null gives nil, an empty string does not.
func (c *cursor) null() ([]byte, error) {
	ch, err := c.token()
	if err != nil {
		return nil, err
	}
	switch ch {
	case '"':
		return c.str()
	case 'n':
		return nil, c.word("null")
	}
	return nil, fmt.Errorf("found %q, expected a string or null", ch)
}

func (c *cursor) word(w string) error {
	have := c.b[c.i:min(len(c.b), c.i+len(w))]
	if string(have) != w[:len(have)] {
		return fmt.Errorf("found %q, expected %s", have, w)
	}
	if len(have) < len(w) {
		return errShort
	}
	c.i += len(w)
	return nil
}

func (c *cursor) text(dst *string) error {
	raw, err := c.null()
	*dst = string(raw)
	return err
}

func (c *cursor) boolean(dst *bool) error {
	ch, err := c.token()
	if err != nil {
		return err
	}
	*dst = ch == 't'
	switch ch {
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	return fmt.Errorf("found %q, expected true, false or null", ch)
}

// time reads a timestamp or null into dst, in UTC.
func (c *cursor) time(dst *time.Time) error {
	raw, err := c.null()
	if err != nil || raw == nil {
		*dst = time.Time{}
		return err
	}
	t, ok := stampTime(raw)
	if !ok {
		if t, err = time.Parse(time.RFC3339, string(raw)); err != nil {
			return fmt.Errorf("%.40q is not a time", raw)
		}
	}
	*dst = t.UTC()
	return nil
}

// stampTime reads the one form that PuppetDB writes, 2026-01-02T15:04:05.000Z.
// Anything else, the last days of months and leap seconds included, is left to
// package time.
func stampTime(b []byte) (time.Time, bool) {
	if len(b) != 24 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[23] != 'Z' {
		return time.Time{}, false
	}
	bad := 0
	num := func(from, to int) (n int) {
		for _, ch := range b[from:to] {
			d := int(ch) - '0'
			bad |= d | (9 - d) // negative if d is no digit
			n = 10*n + d
		}
		return n
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, sec, ms := num(11, 13), num(14, 16), num(17, 19), num(20, 23)
	if bad < 0 || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || sec > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, sec, ms*1e6, time.UTC), true
}
