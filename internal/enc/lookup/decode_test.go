package lookup

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

func marshal(t interface{ Fatal(...any) }, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// full has something in every field, so that a field which the decoder does not know is found here.
func full() Admissions {
	return Admissions{
		EnvironmentPath: "/etc/puppetlabs/code/environments", Upstream: true, ConfigFile: "/etc/sluice/enc.yml",
		Document: segments.Document{
			Format: 1, Epoch: "e", Generation: 1<<64 - 1, Written: time.Date(2026, 11, 2, 8, 0, 0, 123456789, time.UTC),
			Tracks: []segments.Track{{Name: "production", Baseline: "b", Members: "m", Nodes: 7, Parameters: map[string]any{"ntp": []any{"a", json.Number("1.5e3"), nil}}}},
			Rollouts: []segments.Rollout{
				{Name: "näme\n\"\\\u2028<😀>", Track: "production", Candidate: "c", Salt: "s", BackedOut: true, Unvetoed: 9,
					Stages: []segments.Stage{{Name: "one", Set: "m", Threshold: segments.All}, {Name: "two", Threshold: segments.None}},
					Caps:   []segments.Cap{{ID: "h", Set: "m", Limit: segments.None}}},
				{Name: "flags", Track: "production", Parameters: map[string]any{"deep": map[string]any{"x": map[string]any{}, "y": []any{}, "z": true}}},
			},
			Pins: []segments.Pin{{Certname: "n", To: segments.ToBaseline, Rollout: "r"}},
			Sets: map[string]int{"m": 7, "0": 0},
		},
	}
}

// plain reads with encoding/json, strictly.
func plain(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	return dec.Decode(into)
}

// sameAsPlain compares what the decoder says with what encoding/json says about the same bytes.
func sameAsPlain(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, data []byte, got Admissions) {
	var want, again Admissions
	if err := plain(data, &want); err != nil {
		t.Fatalf("taken, although encoding/json refuses it: %v: %q", err, data)
	}
	if err := plain(marshal(t, got), &again); err != nil {
		t.Fatalf("what was taken cannot be written again: %v: %q", err, data)
	}
	if diff := cmp.Diff(want, again, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q: %s", data, diff)
	}
}

func TestDecodeAdmissionsReadsEveryField(t *testing.T) {
	data := marshal(t, full())
	got, err := DecodeAdmissions(data)
	if err != nil {
		t.Fatal(err)
	}
	sameAsPlain(t, data, got)
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, " ", "\t"); err != nil {
		t.Fatal(err)
	}
	if got, err = DecodeAdmissions(indented.Bytes()); err != nil {
		t.Fatal(err)
	}
	sameAsPlain(t, data, got)
}

// A file that was cut off anywhere is not a shorter file.
func TestEveryTornFileIsRefused(t *testing.T) {
	data := marshal(t, full())
	for n := range data {
		if _, err := DecodeAdmissions(data[:n]); err == nil {
			t.Errorf("admissions cut to %d of %d bytes were taken", n, len(data))
		}
	}
	data = marshal(t, flags.Latched{Freeze: &flags.Stop{Value: "true", Generation: 3}, Pause: map[string]flags.Stop{"a": {}}, BackOut: map[string]flags.Stop{"b": {}}})
	if got, err := DecodeStops(data); err != nil || !cmp.Equal(got, map[string]bool{"b": true}) {
		t.Errorf("stops: %v %v", got, err)
	}
	for n := range data {
		if _, err := DecodeStops(data[:n]); err == nil {
			t.Errorf("stops cut to %d of %d bytes were taken", n, len(data))
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2)
	for bad, want := range map[string]string{
		`{"document":{"epoch":"e"}} {}`:                               "expected nothing more",
		`{"document":{"epoch":"e","epoch":"f"}}`:                      `member "epoch" twice`,
		`{"document":{"Epoch":"e"}}`:                                  `unknown member "Epoch"`,
		`{"document":{"tracks":[{"nodes":1.5}]}}`:                     "expected an integer",
		`{"document":{"tracks":[{"nodes":01}]}}`:                      "expected a number",
		`{"document":{"generation":-1}}`:                              "expected an integer from 0",
		`{"document":{"generation":18446744073709551616}}`:            "expected an integer from 0",
		`{"document":{"written":"yesterday"}}`:                        "expected a time",
		`{"document":{"tracks":[{"name":"` + "\xff" + `"}]}}`:         "invalid UTF-8",
		`{"document":{"epoch":"\ud800"}}`:                             "half a surrogate pair",
		`{"document":{"epoch":"\u12"}}`:                               "invalid escape",
		`{"document":{"epoch":"\q"}}`:                                 "invalid escape",
		"{\"document\":{\"epoch\":\"\n\"}}":                           "control character",
		`{"upstream":1}`:                                              "expected true or false",
		`{"document":{"tracks":[{"parameters":{"a":` + deep + `}}]}}`: "nested too deeply",
		`{"document":{"tracks":[{"parameters":{"a":nul}}]}}`:          "expected null",
		`{"document":{"tracks":[{"parameters":{"a":1.}}]}}`:           "expected digits after the point",
		`{"document":{"tracks":[{"parameters":{"a":1e}}]}}`:           "expected digits of an exponent",
		`{"document":{"tracks":[{},]}}`:                               "expected",
		`{"upstream":true,}`:                                          "expected",
		`[]`:                                                          `expected "{"`,
		"":                                                            `expected "{"`,
	} {
		if a, err := DecodeAdmissions([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "byte ") {
			t.Errorf("%s: %+v, %v, want %q", bad, a, err, want)
		}
	}
	for _, bad := range []string{``, `[]`, `{"backout":{"a":{"value":1}}}`, `{"backout":{"a":{"generation":-1}}}`, `{"back_out":{}}`, `{"backout":["a"]}`, `{"backout":{"a":{"by":"x"}}}`} {
		if got, err := DecodeStops([]byte(bad)); err == nil || got != nil {
			t.Errorf("stops %s: %v, %v", bad, got, err)
		}
	}
}

func TestDecodeAgreesWithPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, small := rapid.String(), rapid.IntRange(-3, 1000)
		a := full()
		a.EnvironmentPath, a.Document.Epoch, a.Document.Generation = text.Draw(t, "path"), text.Draw(t, "epoch"), rapid.Uint64().Draw(t, "generation")
		for i := range rapid.IntRange(0, 5).Draw(t, "rollouts") {
			a.Document.Rollouts = append(a.Document.Rollouts, segments.Rollout{
				Name: text.Draw(t, "name"), Parameters: map[string]any{text.Draw(t, "key"): text.Draw(t, "value"), "n": small.Draw(t, "n"), "f": rapid.Float64().Draw(t, "f")},
				Stages: make([]segments.Stage, i),
			})
		}
		data := marshal(t, a)
		got, err := DecodeAdmissions(data)
		if err != nil {
			t.Fatalf("%v: %q", err, data)
		}
		sameAsPlain(t, data, got)
	})
}

// Whatever is written into parameters' names and values, Puppet reads the same from the answer's YAML.
func TestAnswerIsYAML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "parameters")
		parameters := map[string]any{}
		for k, v := range want {
			parameters[k] = Raw(appendText(nil, v))
		}
		out, err := Answer{Decision: segments.Decision{Environment: "e_1", Parameters: parameters}}.YAML()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Environment string
			Parameters  map[string]map[string]string
		}
		if err := yaml.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		if got.Environment != "e_1" || !cmp.Equal(got.Parameters["sluice"], want, cmpopts.EquateEmpty()) {
			t.Fatalf("%q is read as %q", out, got)
		}
	})
}

func FuzzDecodeAdmissions(f *testing.F) {
	f.Add(marshal(f, full()))
	f.Add([]byte(`{"document":{"epoch":"\ud83d\ude00\u00e4","tracks":null,"sets":{"a":-0}}}`))
	f.Add([]byte(`{"document":{"tracks":[{"parameters":{"a":[1,-2.5E+3,"x",true,false,null,{}]}}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := DecodeAdmissions(data); err == nil {
			sameAsPlain(t, data, got)
		}
	})
}

func FuzzDecodeStops(f *testing.F) {
	f.Add([]byte(`{"freeze":{"value":"true","generation":3},"pause":{"a":{}},"backout":{"b":{"value":"x"}}}`))
	f.Add([]byte(`{"backout":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeStops(data)
		if err != nil {
			return
		}
		var want flags.Latched
		if err := plain(data, &want); err != nil {
			t.Fatalf("taken, although encoding/json refuses it: %v: %q", err, data)
		}
		if len(got) != len(want.BackOut) {
			t.Fatalf("%v, want %v", got, want.BackOut)
		}
		for name := range want.BackOut {
			if !got[name] {
				t.Fatalf("%q is lost", name)
			}
		}
	})
}
