package puppetdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// decode reads a whole answer.
func decode(r io.Reader) (all []Report, err error) {
	err = each(r, leanRow, newLean(func(r Report) error { all = append(all, r); return nil }).row)
	return all, err
}

// oracle decodes an answer with encoding/json, keeping PuppetDB's exact column
// names apart from others, which a struct with tags would not.
func oracle(b []byte) ([]Report, error) {
	var rows []map[string]json.RawMessage
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, err
	}
	if rows == nil {
		return nil, errors.New("null is no array")
	}
	var all []Report
	for _, row := range rows {
		var r Report
		into := map[string]any{
			"hash": &r.Hash, "certname": &r.Certname, "environment": &r.Environment, "status": &r.Status, "noop": &r.Noop,
			"cached_catalog_status": &r.CachedCatalogStatus, "catalog_uuid": &r.CatalogUUID, "code_id": &r.CodeID,
			"configuration_version": &r.ConfigurationVersion, "start_time": &r.StartTime, "end_time": &r.EndTime,
			"producer_timestamp": &r.ProducerTimestamp, "receive_time": &r.ReceiveTime,
		}
		for name, dst := range into {
			raw, ok := row[name]
			if !ok {
				return nil, fmt.Errorf("lacks %s", name)
			}
			if err := json.Unmarshal(raw, dst); err != nil {
				return nil, err
			}
		}
		for _, t := range []*time.Time{&r.StartTime, &r.EndTime, &r.ProducerTimestamp, &r.ReceiveTime} {
			*t = t.UTC()
		}
		if r.Hash == "" || r.Certname == "" || r.ProducerTimestamp.IsZero() {
			return nil, errors.New("null identity")
		}
		all = append(all, r)
	}
	return all, nil
}

// recorded returns the reports of real runs as one answer, all columns.
func recorded(t testing.TB) []byte {
	t.Helper()
	files, err := filepath.Glob("testdata/reports/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("recorded reports: %d files, %v", len(files), err)
	}
	var parts [][]byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(b), []byte("[")), []byte("]")))
	}
	return []byte("[" + string(bytes.Join(parts, []byte(","))) + "]")
}

const oneRow = `{"hash":"1a4d","certname":"web1.example.test","environment":"production","status":"changed","noop":false,` +
	`"cached_catalog_status":"not_used","catalog_uuid":null,"code_id":null,"configuration_version":"v \"1\" \u00e9é",` +
	`"start_time":"2026-11-22T19:39:13.539Z","end_time":"2026-11-30T23:59:59.050Z",` +
	`"producer_timestamp":"2026-11-22T19:39:20.365Z","receive_time":null}`

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	for name, answer := range map[string]string{
		"recorded": string(recorded(t)),
		"none":     " [ ] \n",
		"one":      "[" + oneRow + "]",
		"spaced":   "\n[ " + strings.ReplaceAll(oneRow, ",", " ,\n ") + " ,\t" + oneRow + "]\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			want, err := oracle([]byte(answer))
			if err != nil {
				t.Fatal(err)
			}
			for how, r := range map[string]io.Reader{
				"whole": strings.NewReader(answer), "bytewise": iotest.OneByteReader(strings.NewReader(answer)),
				"data and end at once": iotest.DataErrReader(strings.NewReader(answer)),
			} {
				got, err := decode(r)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

// Ensure that an answer cut off at any byte is an error, however it ends.
func TestDecodeCutOff(t *testing.T) {
	answer := "[" + oneRow + "," + oneRow + "]"
	for n := range len(answer) {
		if got, err := decode(strings.NewReader(answer[:n])); err == nil {
			t.Fatalf("cut after %d bytes: %d reports and no error", n, len(got))
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v, want unexpected EOF", n, err)
		}
		broken := errors.New("connection reset")
		_, err := decode(io.MultiReader(strings.NewReader(answer[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Fatalf("broken after %d bytes: %v", n, err)
		}
	}
	broken := errors.New("checksum")
	if _, err := decode(io.MultiReader(strings.NewReader(answer), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("an error behind the closing bracket was lost: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	edit := func(old, new string) string {
		out := strings.Replace(oneRow, old, new, 1)
		if out == oneRow {
			t.Fatalf("%s is not in the row", old)
		}
		return "[" + out + "]"
	}
	for _, tc := range []struct{ answer, want string }{
		{"[" + oneRow + "] []", `after 1 rows: '[' behind the closing ]`},
		{`{"error":"x"}`, `row 0: found '{', expected [`},
		{"[" + oneRow + " " + oneRow + "]", `row 1: found '{', expected , or ]`},
		{"[" + oneRow + ",]", `row 2: found ']', expected {`},
		{"[" + oneRow + ",null]", `row 2: found 'n', expected {`},
		{edit(`"hash":"1a4d"`, `"hash":null`), `hash, certname and producer_timestamp must not be null`},
		{edit(`"status":"changed",`, ``), `row 1: lacks the column status`},
		{edit(`"changed"`, `7`), `row 1: column status: found '7', expected a string or null`},
		{edit(`"noop":false`, `"noop":"false"`), `column noop: found '"', expected true, false or null`},
		{edit(`"noop":false`, `"noop":fallacy`), `column noop: found "falla", expected false`},
		{edit(`2026-11-22T19:39:13.539Z`, `2026-13-22T19:39:13.539Z`), `column start_time: "2026-13-22T19:39:13.539Z" is not a time`},
		{edit(`2026-11-30T`, `2026-11-31T`), `column end_time: "2026-11-31T23:59:59.050Z" is not a time`},
		{edit(`"changed"`, "\"chan\nged\""), `column status: invalid character`},
		{edit(`"hash"`, `"extra":{"a":]},"hash"`), `expected a JSON value`},
		{edit(`"hash":`, `"extra":01,"hash":`), `found "01", expected a JSON value`},
		{`[{"extra":"` + strings.Repeat("x", leanRow) + `"}]`, `row 1: longer than 1048576 bytes`},
	} {
		_, err := decode(strings.NewReader(tc.answer))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60s: error %v, want %q", tc.answer, err, tc.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("[" + oneRow + "," + oneRow + "]"))
	f.Add([]byte(`[ ]x`))
	f.Add([]byte(`[{"a":[1e5,"\ud800"],"hash":"\u0031"}]`))
	f.Add([]byte("[" + strings.Replace(oneRow, `"noop"`, `"logs":{"data":[{"tags":["a}]"],"line":1e3}]},"noop"`, 1) + "]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want, wantErr := oracle(b)
		got, err := decode(bytes.NewReader(b))
		if err == nil && (!json.Valid(b) || (wantErr == nil && !cmp.Equal(want, got))) {
			t.Errorf("took %q as %+v, want %+v", b, got, want)
		}
		if wantErr != nil {
			return
		}
		// A key given twice may be refused for its first value, which
		// encoding/json never looks at: written out again, it comes once.
		var rows []map[string]json.RawMessage
		if err := json.Unmarshal(b, &rows); err != nil {
			t.Fatal(err)
		}
		once, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(bytes.NewReader(once)); err != nil || !cmp.Equal(want, got) {
			t.Errorf("refused %q: %v, or took it as %+v, want %+v", once, err, got, want)
		}
	})
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte(`[{"a":"}\""},{"b":[{}]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []map[string]any
		err := each(bytes.NewReader(b), heavyRow, objects(func(v map[string]any) error { got = append(got, v); return nil }))
		var want []map[string]any
		wantErr := json.Unmarshal(b, &want)
		whole := wantErr == nil && want != nil && !slices.ContainsFunc(want, func(m map[string]any) bool { return m == nil })
		if whole != (err == nil) || (whole && len(want)+len(got) > 0 && !cmp.Equal(want, got)) {
			t.Errorf("%q: got %v, %v; want %v, %v", b, got, err, want, wantErr)
		}
	})
}
