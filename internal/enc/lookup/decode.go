package lookup

import (
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/openinfrastructure/sluice/segments"
)

// Raw is a value as it stands in the document, JSON text: parameters are passed on, never looked into.
type Raw string

// MarshalJSON gives the text back.
func (v Raw) MarshalJSON() ([]byte, error) { return []byte(v), nil }

// DecodeAdmissions reads AdmissionsFile. Parameters are Raw, or nil for null. Only what `accept` of this version writes is
// taken: anything else is an error.
func DecodeAdmissions(data []byte) (Admissions, error) {
	var a Admissions
	r := &reader{data: string(data)}
	r.object(func(key string) {
		switch key {
		case "document":
			a.Document = r.document()
		case "environment_path":
			a.EnvironmentPath = r.text()
		case "upstream":
			a.Upstream = r.boolean()
		case "config_file":
			a.ConfigFile = r.text()
		default:
			r.unknown(key)
		}
	})
	if err := r.end(); err != nil {
		return Admissions{}, err
	}
	return a, nil
}

// DecodeStops reads StopsFile and returns the rollouts that are backed out, nil where there are none. Pauses
// and freezes act where a document is accepted, so they are only checked.
func DecodeStops(data []byte) (map[string]bool, error) {
	var out map[string]bool
	r := &reader{data: string(data)}
	stops := func(each func(name string)) {
		r.object(func(name string) {
			r.stop()
			each(name)
		})
	}
	r.object(func(key string) {
		switch key {
		case "freeze":
			r.stop()
		case "pause":
			stops(func(string) {})
		case "backout":
			stops(func(name string) {
				if out == nil {
					out = map[string]bool{}
				}
				out[name] = true
			})
		default:
			r.unknown(key)
		}
	})
	if err := r.end(); err != nil {
		return nil, err
	}
	return out, nil
}

func (r *reader) stop() {
	r.object(func(key string) {
		switch key {
		case "value":
			r.text()
		case "generation":
			r.unsigned()
		default:
			r.unknown(key)
		}
	})
}

func (r *reader) document() (d segments.Document) {
	r.object(func(key string) {
		switch key {
		case "format":
			d.Format = r.integer()
		case "epoch":
			d.Epoch = r.text()
		case "generation":
			d.Generation = r.unsigned()
		case "written":
			if raw := r.raw(0); r.err == nil && d.Written.UnmarshalJSON([]byte(raw)) != nil {
				r.fail("expected a time in RFC 3339")
			}
		case "tracks":
			r.array(func() { d.Tracks = append(d.Tracks, r.track()) })
		case "rollouts":
			r.array(func() { d.Rollouts = append(d.Rollouts, r.rollout()) })
		case "pins":
			r.array(func() { d.Pins = append(d.Pins, r.pin()) })
		case "sets":
			d.Sets = map[string]int{}
			r.object(func(digest string) { d.Sets[digest] = r.integer() })
		default:
			r.unknown(key)
		}
	})
	return d
}

func (r *reader) track() (t segments.Track) {
	r.object(func(key string) {
		switch key {
		case "name":
			t.Name = r.text()
		case "baseline":
			t.Baseline = r.text()
		case "members":
			t.Members = r.text()
		case "nodes":
			t.Nodes = r.integer()
		case "parameters":
			t.Parameters = r.parameters()
		default:
			r.unknown(key)
		}
	})
	return t
}

func (r *reader) rollout() (o segments.Rollout) {
	r.object(func(key string) {
		switch key {
		case "name":
			o.Name = r.text()
		case "track":
			o.Track = r.text()
		case "candidate":
			o.Candidate = r.text()
		case "parameters":
			o.Parameters = r.parameters()
		case "salt":
			o.Salt = r.text()
		case "stages":
			r.array(func() { o.Stages = append(o.Stages, r.stage()) })
		case "caps":
			r.array(func() { o.Caps = append(o.Caps, r.cap()) })
		case "backed_out":
			o.BackedOut = r.boolean()
		case "unvetoed":
			o.Unvetoed = r.unsigned()
		default:
			r.unknown(key)
		}
	})
	return o
}

func (r *reader) stage() (s segments.Stage) {
	r.object(func(key string) {
		switch key {
		case "name":
			s.Name = r.text()
		case "set":
			s.Set = r.text()
		case "threshold":
			s.Threshold = segments.Threshold(r.text())
		default:
			r.unknown(key)
		}
	})
	return s
}

func (r *reader) cap() (c segments.Cap) {
	r.object(func(key string) {
		switch key {
		case "id":
			c.ID = r.text()
		case "set":
			c.Set = r.text()
		case "limit":
			c.Limit = segments.Threshold(r.text())
		default:
			r.unknown(key)
		}
	})
	return c
}

func (r *reader) pin() (p segments.Pin) {
	r.object(func(key string) {
		switch key {
		case "certname":
			p.Certname = r.text()
		case "to":
			p.To = r.text()
		case "rollout":
			p.Rollout = r.text()
		default:
			r.unknown(key)
		}
	})
	return p
}

func (r *reader) parameters() map[string]any {
	out := map[string]any{}
	r.object(func(name string) {
		out[name] = nil
		if v := r.raw(0); v != "null" {
			out[name] = v
		}
	})
	return out
}

// appendParameters writes parameters on one line in JSON, which is YAML as well; keys are sorted.
func appendParameters(out []byte, parameters map[string]any) ([]byte, error) {
	keys := make([]string, 0, len(parameters))
	for k := range parameters {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out = append(out, '{')
	for i, k := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		raw, ok := parameters[k].(Raw)
		if !ok {
			return nil, errors.New("parameter " + strconv.Quote(k) + " does not come from the document")
		}
		out = append(append(appendText(out, k), ':'), raw...)
	}
	return append(out, '}'), nil
}

// appendText quotes a string so that JSON and YAML read it alike: what YAML does not take as printable is escaped.
func appendText(out []byte, s string) []byte {
	const hexdigits = "0123456789abcdef"
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', byte(c))
		case c < ' ' || c >= 0x7f && c <= 0x9f || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff:
			out = append(out, '\\', 'u', hexdigits[c>>12&15], hexdigits[c>>8&15], hexdigits[c>>4&15], hexdigits[c&15])
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	return append(out, '"')
}
