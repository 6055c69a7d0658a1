package puppetdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// lean decodes report rows. It exists because the feed reads hundreds of rows
// per second for every hundred thousand nodes, several times each: it parses
// in place, allocates only the strings that differ between rows, and shares
// the others (BenchmarkDecodeLean).
type lean struct {
	fn     func(Report) error
	shared [5]string         // the last value of each repetitive column
	pool   map[string]string // bounded by poolSize
	cur    cursor
}

const poolSize = 1024

// Repetitive columns, as indices of lean.shared.
const (
	inEnvironment = iota
	inStatus
	inCached
	inCode
	inVersion
)

func newLean(fn func(Report) error) *lean {
	return &lean{fn: fn, pool: map[string]string{}}
}

// row decodes one row, see each.
func (d *lean) row(b []byte) (int, error) {
	d.cur = cursor{b: b}
	var r Report
	seen, err := d.columns(&r)
	if err != nil {
		return 0, err
	}
	if seen != allColumns {
		return 0, fmt.Errorf("lacks the column %s", firstMissing(seen))
	}
	if r.Hash == "" || r.Certname == "" || r.ProducerTimestamp.IsZero() {
		return 0, fmt.Errorf("report %q of %q at %s: hash, certname and producer_timestamp must not be null",
			r.Hash, r.Certname, r.ProducerTimestamp.Format(time.RFC3339))
	}
	return d.cur.i, d.fn(r)
}

// columns walks the members of the object and returns which columns it met.
func (d *lean) columns(r *Report) (uint, error) {
	c := &d.cur
	c.i++ // the opening brace: each has seen it
	var seen uint
	for first := true; ; first = false {
		ch, err := c.token()
		if err != nil {
			return 0, err
		}
		if first && ch == '}' {
			c.i++
			return seen, nil
		}
		key, err := c.str()
		if err != nil {
			return 0, err
		}
		if err := c.expect(':'); err != nil {
			return 0, err
		}
		bit, err := d.column(r, key)
		if err != nil {
			return 0, err
		}
		seen |= bit
		if ch, err = c.token(); err != nil {
			return 0, err
		}
		c.i++
		if ch == '}' {
			return seen, nil
		}
		if ch != ',' {
			return 0, fmt.Errorf("found %q, expected , or }", ch)
		}
	}
}

// column stores the value of one column and returns its bit. A column that was
// not asked for is checked and skipped.
func (d *lean) column(r *Report, key []byte) (bit uint, err error) {
	c := &d.cur
	switch string(key) {
	case "hash":
		bit, err = 1<<0, c.text(&r.Hash)
	case "certname":
		bit, err = 1<<1, c.text(&r.Certname)
	case "environment":
		bit, err = 1<<2, d.share(&r.Environment, inEnvironment)
	case "status":
		bit, err = 1<<3, d.share(&r.Status, inStatus)
	case "noop":
		bit, err = 1<<4, c.boolean(&r.Noop)
	case "cached_catalog_status":
		bit, err = 1<<5, d.share(&r.CachedCatalogStatus, inCached)
	case "catalog_uuid":
		bit, err = 1<<6, c.text(&r.CatalogUUID)
	case "code_id":
		bit, err = 1<<7, d.share(&r.CodeID, inCode)
	case "configuration_version":
		bit, err = 1<<8, d.share(&r.ConfigurationVersion, inVersion)
	case "start_time":
		bit, err = 1<<9, c.time(&r.StartTime)
	case "end_time":
		bit, err = 1<<10, c.time(&r.EndTime)
	case "producer_timestamp":
		bit, err = 1<<11, c.time(&r.ProducerTimestamp)
	case "receive_time":
		bit, err = 1<<12, c.time(&r.ReceiveTime)
	default:
		return 0, c.skip()
	}
	if err != nil && !errors.Is(err, errShort) {
		return 0, fmt.Errorf("column %s: %w", key, err)
	}
	return bit, err
}

const allColumns = 1<<13 - 1

func firstMissing(seen uint) string {
	for i, name := range reportColumns {
		if seen&(1<<i) == 0 {
			return name
		}
	}
	return ""
}

// share stores a string of a repetitive column without a copy of its own.
func (d *lean) share(dst *string, col int) error {
	raw, err := d.cur.null()
	if err != nil || raw == nil {
		*dst = ""
		return err
	}
	if string(raw) == d.shared[col] {
		*dst = d.shared[col]
		return nil
	}
	s, ok := d.pool[string(raw)]
	if !ok {
		s = string(raw)
		if len(d.pool) < poolSize {
			d.pool[s] = s
		}
	}
	d.shared[col], *dst = s, s
	return nil
}

// skip steps over any value.
func (c *cursor) skip() error {
	ch, err := c.token()
	if err != nil {
		return err
	}
	start := c.i
	switch ch {
	case '"':
		_, err := c.str()
		return err
	case '{', '[':
		n, err := objectLen(c.b[c.i:])
		if err != nil {
			return err
		}
		c.i += n
	default:
		n := bytes.IndexAny(c.b[c.i:], ",}] \t\r\n")
		if n < 0 {
			return errShort
		}
		c.i += n
	}
	if !json.Valid(c.b[start:c.i]) {
		return fmt.Errorf("found %.20q, expected a JSON value", c.b[start:c.i])
	}
	return nil
}
