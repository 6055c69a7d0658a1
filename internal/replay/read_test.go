package replay

import (
	"bytes"
	"strings"
	"testing"
)

const good = `{"hash":"a1","certname":"n1","environment":"production","status":"unchanged","noop":false,"cached_catalog_status":"not_used","catalog_uuid":"u","code_id":null,"configuration_version":"1","start_time":"2026-11-02T08:00:00Z","end_time":"2026-11-02T08:00:20Z","producer_timestamp":"2026-11-02T08:00:21Z","receive_time":"2026-11-02T08:00:22Z","metrics":{"data":[{"name":"corrective_change","value":2,"category":"resources"}]}}`

func TestReadReports(t *testing.T) {
	second := strings.Replace(good, `"a1"`, `"a2"`, 1)
	undated := strings.Replace(strings.Replace(good, `"a1"`, `"a3"`, 1), `"receive_time":"2026-11-02T08:00:22Z"`, `"receive_time":null`, 1)
	h := NewHistory()
	if err := h.ReadReports("f", strings.NewReader(good+"\n\n  \n"+second+"\r\n"+good+"\n"+undated), func(int) {}); err != nil {
		t.Fatal(err)
	}
	h.Sort()
	if h.Reports() != 3 || h.Duplicates != 1 || h.Unclear != 1 || len(h.Names) != 1 || len(h.unmeasured) != 0 {
		t.Errorf("%+v", h)
	}
	if h.runs[0].troubled || !h.runs[0].metrics.corrective || !h.runs[0].Received.Equal(h.runs[0].Produced) {
		t.Errorf("%+v", h.runs[0])
	}
}

// TestBadReports: the error names the file, the line, and what is wrong in it.
func TestBadReports(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for bad, want := range map[string]string{
		`x`:                                   `f:2: found "x", expected a JSON object`,
		`[` + good + `]`:                      `f:2: found an array, expected one report a line (jq -c '.[]')`,
		good[:200]:                            `f:2: the object does not end, expected }`,
		good + good:                           `f:2: found "{\"hash\":\"a1\",\"certna" after the object, expected one object`,
		change(`"noop":false,`, ``):           `f:2: lacks the column noop`,
		change(`"noop":false`, `"noop":"no"`): `f:2: column noop: found '"', expected true, false or null`,
		change(`"2026-11-02T08:00:00Z"`, `"yesterday"`): `f:2: column start_time: "yesterday" is not a time`,
		change(`"a1"`, `null`):                          `f:2: report "" of "n1"`,
		change(`"n1"`, `7`):                             `f:2: column certname: found '7', expected a string or null`,
		strings.Replace(change(`"unchanged"`, `"failed"`), `"value":2`, `"value":"two"`, 1): `f:2: json: cannot unmarshal string`,
	} {
		h := NewHistory()
		err := h.ReadReports("f", strings.NewReader("\n"+bad+"\n"), func(int) {})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant %s", bad, err, want)
		}
	}
}

func TestLongLine(t *testing.T) {
	long := strings.Replace(good, `"metrics"`, `"noise":"`+strings.Repeat("x", 3<<20)+`","metrics"`, 1)
	h := NewHistory()
	total := 0
	if err := h.ReadReports("f", strings.NewReader(good+"\n"+strings.Replace(long, `"a1"`, `"a2"`, 1)+"\n"), func(n int) { total += n }); err == nil || h.Reports() != 2 {
		// The reader of rows bounds the plain columns, not the line.
		if err != nil {
			t.Errorf("%v after %d bytes", err, total)
		}
	}
}

func TestCorrective(t *testing.T) {
	for line, want := range map[string]float64{
		`{"corrective_change":true,"metrics":{"data":[{"category":"resources","name":"corrective_change","value":3}]}}`: 3,
		`{"metrics":{"data":[{"name": "corrective_change","value":0,"category":"resources"}]}}`:                         0,
		`{"corrective_change":true}`: -1,
		`{"metrics":{"data":null}}`:  -1,
		`{"metrics":{"data":[{"category":"x","name":"corrective_change","value":3}]}}`: -1,
		`{"message":"a \"corrective_change\" b"}`:                                      -1,
		`"corrective_change"`: -1,
		`{"metrics":{"data":[{"category":"resources","name":"corrective_change","value":null}]}}`: -1,
	} {
		got, found := metric([]byte(line), "resources", "corrective_change")
		if found != (want >= 0) || found && got != want {
			t.Errorf("%s: %v, %t", line, got, found)
		}
	}
}

func TestBadAssignments(t *testing.T) {
	for bad, want := range map[string]string{
		"":                                     "who: empty, expected a line with the columns",
		"certname,cohort\n":                    "who:1: columns certname,cohort, expected certname, cohort and admitted_at among them",
		"certname,cohort,admitted_at,\n":       `who:1: column 4: "", expected a name of its own`,
		"certname,cohort,admitted_at,cohort\n": `who:1: column 4: "cohort"`,
		"certname,cohort,admitted_at\n":        "who: no node",
		"certname,cohort,admitted_at\nn1,canary,\n":                            `who:2: admitted_at: "", expected a time such as`,
		"certname,cohort,admitted_at\nn1,canary,noon\n":                        `who:2: admitted_at: "noon"`,
		"certname,cohort,admitted_at\nn1,control,2026-11-02T08:00:00Z\n":       "who:2: admitted_at: \"2026-11-02T08:00:00Z\" of a control",
		"certname,cohort,admitted_at\nn1,treated,\n":                           `who:2: cohort: "treated", expected canary or control`,
		"certname,cohort,admitted_at\n,control,\n":                             "who:2: certname: empty",
		"certname,cohort,admitted_at\nn1,control,\nn2,control,\nn1,control,\n": "who:4: certname: n1 stands in line 2 too",
		"certname,cohort,admitted_at\nn1,control\n":                            "who: record on line 2: wrong number of fields",
		"certname,cohort,admitted_at\n\"n1,control,\n":                         "who: parse error on line 2",
	} {
		if _, err := ReadAssignments("who", strings.NewReader(bad)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant %s", bad, err, want)
		}
	}
}

func TestStrata(t *testing.T) {
	var b strings.Builder
	b.WriteString("role,certname,cohort,admitted_at,site\n")
	for i := range 120 {
		b.WriteString([]string{"web", "db"}[i%2] + ",n" + strings.Repeat("x", i) + ",control,," + []string{"a", ""}[i/100] + "\n")
	}
	a, err := ReadAssignments("who", strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	strata, err := a.strata([]string{"role", "site"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, s := range strata {
		seen[s]++
	}
	if seen["web/a"] != 50 || seen["db/a"] != 50 || len(seen) != 3 {
		t.Errorf("%v", seen)
	}
}

func FuzzReadReports(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "unchanged", "failed", 1) + "\n" + good))
	f.Add([]byte("[]\n{}\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := NewHistory()
		if err := h.ReadReports("f", bytes.NewReader(data), func(int) {}); err == nil {
			h.Sort()
			if h.Reports() > bytes.Count(data, []byte("\n"))+1 {
				t.Error("more reports than lines")
			}
		}
	})
}

func FuzzReadAssignments(f *testing.F) {
	f.Add([]byte("certname,cohort,admitted_at,role\nn1,canary,2026-11-02T08:00:00Z,web\nn2,control,,\n"))
	f.Add([]byte("\ufeffcertname,cohort,admitted_at\nn1,control,\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadAssignments("f", bytes.NewReader(data))
		if err != nil {
			return
		}
		for i, n := range a.Nodes {
			if n.Certname == "" || len(n.Values) != len(a.Columns) || i > 0 && a.Nodes[i-1].Certname >= n.Certname {
				t.Fatalf("%+v", n)
			}
		}
		if _, err := a.strata(a.Columns); err != nil {
			t.Fatal(err)
		}
	})
}
