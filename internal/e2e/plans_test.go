package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// plannedNodes are so many that a planner has a choice: with a hundred rows a sequential scan is right whatever the index.
const plannedNodes = 20_000

// fewRows is what a query may read one after the other: lookup tables, and partitions of days with hardly a report.
const fewRows = 1000

// readWhole are the tables that a question may read from end to end, all of them once per inventory_interval. Those about all
// nodes need a row of each, and no index can help. For facts of any nodes PuppetDB first lists who is active, by itself: rows
// of certnames without their facts, as the question about all nodes beside it does anyway.
var readWhole = map[string][]string{
	"all nodes":               {"certnames", "factsets", "reports"},
	"attributes of all nodes": {"certnames", "factsets"},
	"facts of all nodes":      {"certnames", "factsets"},
	"facts of a sample":       {"certnames"},
}

// plansUseIndexes records what the client really sends for each of its questions and asks PuppetDB how it runs that: no question
// may read a large table from end to end but those that have to.
func (l *lab) plansUseIndexes() {
	end := time.Now().UTC().Truncate(time.Second)
	if end.Hour() == 0 { // the load wants one day
		end = end.Truncate(24 * time.Hour).Add(-time.Second)
	}
	load, err := os.Open("benchpuppetdb/load.sql")
	l.must(err)
	defer load.Close()
	psql := exec.CommandContext(l.ctx, "psql", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(l.stack.Postgres.Port), "-U", "postgres", "-d", "puppetdb",
		"-v", fmt.Sprintf("n=%d", plannedNodes), "-v", "tmax="+end.Format(time.RFC3339), "-f", "-")
	psql.Stdin = load
	out, err := psql.CombinedOutput()
	if err != nil {
		l.Fatalf("load: %v\n%s", err, out)
	}

	target, err := url.Parse(l.stack.PuppetDB.URL)
	l.must(err)
	type sent struct{ path, body string }
	var mu sync.Mutex
	var asked []sent
	proxy := httputil.NewSingleHostReverseProxy(target)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		asked = append(asked, sent{r.URL.Path, string(body)})
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	defer h.Close()
	c, err := puppetdb.New(puppetdb.Config{URL: h.URL, Timeout: time.Minute})
	l.must(err)
	defer c.Close()

	var some []string
	var certnames []any
	minute := end.Add(-10 * time.Minute)
	for _, q := range []struct {
		name string
		rows int // at least
		ask  func(row func()) error
	}{
		{"reports of a minute", 300, func(row func()) error {
			return c.Reports(l.ctx, minute, minute.Add(time.Minute), func(r puppetdb.Report) error {
				row()
				if len(some) < 50 {
					some, certnames = append(some, r.Hash), append(certnames, r.Certname)
				}
				return nil
			})
		}},
		{"a count of reports", 300, func(row func()) error {
			n, err := c.Count(l.ctx, minute, minute.Add(time.Minute))
			for range n {
				row()
			}
			return err
		}},
		{"details of reports", 50, func(row func()) error {
			found, err := c.Details(l.ctx, some)
			for range found {
				row()
			}
			return err
		}},
		{"metrics of some nodes", 50, func(row func()) error {
			of := make([]string, len(certnames))
			for i, c := range certnames {
				of[i], _ = c.(string)
			}
			return c.Measured(l.ctx, of, minute, minute.Add(2*time.Hour), func(puppetdb.Report, []puppetdb.Metric) error { row(); return nil })
		}},
		{"facts of a sample", 50, func(row func()) error {
			return c.Inventory(l.ctx, []any{"in", "certname", []any{"array", certnames}}, func(puppetdb.Node) error { row(); return nil })
		}},
		{"all nodes", plannedNodes, func(row func()) error {
			return c.Nodes(l.ctx, func(puppetdb.NodeStatus) error { row(); return nil })
		}},
		{"attributes of all nodes", plannedNodes, func(row func()) error {
			return c.InventoryOf(l.ctx, []string{"facts.role", "facts.os.family"}, nil, func(puppetdb.Node) error { row(); return nil })
		}},
		{"facts of all nodes", plannedNodes, func(row func()) error {
			return c.Inventory(l.ctx, nil, func(puppetdb.Node) error { row(); return nil })
		}},
		{"state", 0, func(func()) error { _, err := c.Status(l.ctx); return err }},
	} {
		asked = nil
		rows := 0
		l.must(q.ask(func() { rows++ }))
		if rows < q.rows {
			l.Errorf("%s: %d rows, want %d at least: the plan of nothing says nothing", q.name, rows, q.rows)
		}
		queries := slices.DeleteFunc(slices.Clone(asked), func(s sent) bool { return !strings.HasPrefix(s.path, "/pdb/query/") })
		if len(queries) == 0 && q.rows > 0 {
			l.Errorf("%s: no query was seen", q.name)
		}
		for _, s := range queries {
			scans := l.scans(s.path, s.body)
			if len(scans) == 0 {
				l.Errorf("%s: no scan was found in the plan of %s", q.name, s.body)
			}
			for _, sc := range scans {
				table, _, _ := strings.Cut(sc.table, "_") // a partition counts as its table
				if sc.kind == "Seq Scan" && sc.rows > fewRows && !slices.Contains(readWhole[q.name], table) {
					l.Errorf("%s: reads %d rows of %s one after the other: %.300s", q.name, sc.rows, sc.table, s.body)
				}
			}
			l.Logf("%s: %v", q.name, scans)
		}
	}
}

// scan is one step of a plan that reads a table.
type scan struct {
	kind, table string
	rows        int // read, those that a filter dropped included
}

// scans asks PuppetDB for the plan of a query, executed.
func (l *lab) scans(path, body string) (out []scan) {
	var query map[string]any
	l.must(json.Unmarshal([]byte(body), &query))
	query["explain"] = "analyze"
	explain, err := json.Marshal(query)
	l.must(err)
	req, err := http.NewRequestWithContext(l.ctx, http.MethodPost, l.stack.PuppetDB.URL+path, bytes.NewReader(explain))
	l.must(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	l.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	l.must(err)
	if resp.StatusCode != http.StatusOK {
		l.Fatalf("explain: status %d: %.300s", resp.StatusCode, answer)
	}
	var plan any
	l.must(json.Unmarshal(answer, &plan))
	collectScans(plan, &out)
	return out
}

func collectScans(v any, out *[]scan) {
	switch v := v.(type) {
	case string: // the plan comes as JSON in a string
		var inner any
		if strings.HasPrefix(strings.TrimSpace(v), "[") && json.Unmarshal([]byte(v), &inner) == nil {
			collectScans(inner, out)
		}
	case []any:
		for _, x := range v {
			collectScans(x, out)
		}
	case map[string]any:
		kind, _ := v["Node Type"].(string)
		table, _ := v["Relation Name"].(string)
		number := func(name string) float64 { n, _ := v[name].(float64); return n }
		if loops := number("Actual Loops"); strings.Contains(kind, "Scan") && table != "" && loops > 0 {
			*out = append(*out, scan{kind, table, int(loops * (number("Actual Rows") + number("Rows Removed by Filter")))})
		}
		for _, key := range []string{"Plan", "Plans", "query plan", "QUERY PLAN"} {
			collectScans(v[key], out)
		}
		if kind == "" {
			for key, x := range v {
				if key != "Plan" && key != "Plans" && key != "query plan" && key != "QUERY PLAN" {
					collectScans(x, out)
				}
			}
		}
	}
}
