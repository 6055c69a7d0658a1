// Command benchpuppetdb measures what following reports costs a real PuppetDB and its PostgreSQL: the CPU time per report
// polled, re-reads included, against that per report stored; how quickly the client reads against curl; and by which plans.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/e2e/stack"
	"github.com/openinfrastructure/sluice/internal/fleetsim"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// load fills a database of PuppetDB 7.12.1 with nodes and one report each.
//
//go:embed load.sql
var load string

func main() {
	nodes := flag.Int("nodes", 500_000, "nodes, with one report each in 55 minutes")
	stored := flag.Int("stored", 3000, "reports to store by commands")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	if err := run(ctx, *nodes, *stored); err != nil {
		fmt.Fprintln(os.Stderr, "benchpuppetdb:", err)
		os.Exit(1)
	}
}

type bench struct {
	*stack.Stack
	client *puppetdb.Client
	tmax   time.Time
}

func run(ctx context.Context, nodes, stored int) (err error) {
	s, err := stack.Start(ctx, "", stack.Options{Puppetservers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, p := range s.Puppetservers {
		p.Kill()
	}
	b := &bench{Stack: s, tmax: time.Now().UTC().Truncate(time.Second)}
	if b.tmax.Hour() == 0 { // one partition a day
		b.tmax = b.tmax.Truncate(24 * time.Hour).Add(-time.Hour)
	}
	if b.client, err = puppetdb.New(puppetdb.Config{URL: s.PuppetDB.URL, Timeout: 10 * time.Minute}); err != nil {
		return err
	}
	defer b.client.Close()
	perStored, err := b.store(ctx, stored)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, nodes); err != nil {
		return err
	}
	fmt.Printf("PuppetDB 7.12.1, PostgreSQL 15, %d nodes, %d reports in 55 minutes\n\n", nodes, nodes)
	polled, perPolled, err := b.poll(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("stored by commands:  %6.3f ms of CPU a report (%d reports of 21 metrics)\n", 1000*perStored, stored)
	fmt.Printf("polled by the feed:  %6.3f ms of CPU a report (%d reports, every re-read in six hours counted): %.2f %% of storing it\n", 1000*perPolled, polled, 100*perPolled/perStored)
	if err := b.stream(ctx); err != nil {
		return err
	}
	return b.plans(ctx)
}

// fill loads the database.
func (b *bench) fill(ctx context.Context, nodes int) error {
	began := time.Now()
	cmd := exec.CommandContext(ctx, "psql", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(b.Postgres.Port), "-U", "postgres", "-d", "puppetdb",
		"-v", fmt.Sprintf("n=%d", nodes), "-v", "tmax="+b.tmax.Format(time.RFC3339), "-f", "-")
	cmd.Stdin = strings.NewReader(load)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load: %w\n%s", err, out)
	}
	fmt.Fprintf(os.Stderr, "loaded in %s\n", time.Since(began).Round(time.Second))
	return nil
}

// store sends reports as puppetservers do and returns the CPU seconds for each.
func (b *bench) store(ctx context.Context, n int) (float64, error) {
	sc, err := fleetsim.Parse("benchpuppetdb", fmt.Appendf(nil, "nodes: %d\nrun_interval: 30m\nhistory: 30m\nbase: {changed_runs: 10%%, failed_runs: 2%%}\n", n))
	if err != nil {
		return 0, err
	}
	at := b.tmax.Add(-24 * time.Hour) // where the feed does not look
	sim := fleetsim.New(sc, at, nil)
	send := fleetsim.Sender{URL: b.PuppetDB.URL}
	if _, err := send.Reports(ctx, sim, at.Add(-10*time.Minute), at); err != nil { // warm up
		return 0, err
	}
	if err := b.PuppetDB.WaitQueue(ctx); err != nil {
		return 0, err
	}
	before, err := b.cpu()
	if err != nil {
		return 0, err
	}
	sent, err := send.Reports(ctx, sim, at.Add(-30*time.Minute), at.Add(-10*time.Minute))
	if err == nil {
		err = b.PuppetDB.WaitQueue(ctx)
	}
	if err != nil {
		return 0, err
	}
	after, err := b.cpu()
	return (after - before) / float64(sent), err
}

// poll follows all reports as sluiced does, every 30 s while they come, and then on until each of them is six hours old and is
// not looked at any more. It returns how many there were and the CPU seconds of PuppetDB and PostgreSQL for each.
func (b *bench) poll(ctx context.Context) (reports int, each float64, err error) {
	begin := b.tmax.Add(-50 * time.Minute)
	feed, err := puppetdb.NewFeed(b.client, begin, puppetdb.Options{Ahead: time.Second, Width: 30 * time.Second}) // the future is there already
	if err != nil {
		return 0, 0, err
	}
	step := func(now time.Time) error {
		batch, err := feed.PollEach(ctx, now, func(r []puppetdb.Report) { reports += len(r) })
		return errors.Join(err, batch.Incomplete)
	}
	before, err := b.cpu()
	if err != nil {
		return 0, 0, err
	}
	spent := func(what string, from float64) (float64, error) {
		now, err := b.cpu()
		fmt.Fprintf(os.Stderr, "%s: %.1f s of CPU\n", what, now-from)
		return now, err
	}
	// Polls fall somewhere between the ends of slices.
	for now := begin.Add(11 * time.Second); now.Before(b.tmax); now = now.Add(30 * time.Second) {
		if err := step(now); err != nil {
			return 0, 0, err
		}
	}
	came, err := spent("while reports came", before)
	if err != nil {
		return 0, 0, err
	}
	for now := b.tmax; now.Before(b.tmax.Add(6*time.Hour + 10*time.Minute)); now = now.Add(2 * time.Minute) {
		if err := step(now); err != nil {
			return 0, 0, err
		}
	}
	after, err := spent("until all are six hours old", came)
	if err != nil {
		return 0, 0, err
	}
	total, err := b.client.Count(ctx, begin, b.tmax)
	if err == nil && (total == 0 || reports < total) {
		err = fmt.Errorf("the feed brought %d reports of %d", reports, total)
	}
	return total, (after - before) / float64(total), err
}

// stream reads ten minutes of reports by curl and by the client, in turn.
func (b *bench) stream(ctx context.Context) error {
	from, to := b.tmax.Add(-30*time.Minute), b.tmax.Add(-10*time.Minute)
	query, err := json.Marshal(map[string]any{"query": []any{"extract", reportColumns, []any{"and",
		[]any{">=", "producer_timestamp", from.Format(time.RFC3339)}, []any{"<", "producer_timestamp", to.Format(time.RFC3339)}}}})
	if err != nil {
		return err
	}
	curl, client := time.Duration(0), time.Duration(0)
	rows := 0
	for range 5 {
		began := time.Now()
		cmd := exec.CommandContext(ctx, "curl", "-sf", "-o", "/dev/null", "--compressed", "-H", "Content-Type: application/json", "-d", string(query), b.PuppetDB.URL+"/pdb/query/v4/reports")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("curl: %w %s", err, out)
		}
		curl += time.Since(began)
		began = time.Now()
		rows = 0
		if err := b.client.Reports(ctx, from, to, func(puppetdb.Report) error { rows++; return nil }); err != nil {
			return err
		}
		client += time.Since(began)
	}
	fmt.Printf("streaming %d rows:  curl %s, client %s: %.2f of curl's speed\n\n", rows, (curl / 5).Round(time.Millisecond), (client / 5).Round(time.Millisecond), curl.Seconds()/client.Seconds())
	return nil
}

var reportColumns = []string{
	"hash", "certname", "environment", "status", "noop", "cached_catalog_status", "catalog_uuid",
	"code_id", "configuration_version", "start_time", "end_time", "producer_timestamp", "receive_time",
}

// plans asks PuppetDB how it runs the client's queries.
func (b *bench) plans(ctx context.Context) error {
	at := func(d time.Duration) string { return b.tmax.Add(d).Format(time.RFC3339) }
	fmt.Println("| query | scans |")
	fmt.Println("| --- | --- |")
	for _, q := range []struct {
		name, path string
		query      any
	}{
		{"feed, one minute", "reports", []any{"extract", reportColumns, []any{"and", []any{">=", "producer_timestamp", at(-6 * time.Minute)}, []any{"<", "producer_timestamp", at(-5 * time.Minute)}}}},
		{"details of 50 reports", "reports", []any{"extract", []string{"hash", "metrics", "logs", "resource_events"}, []any{"in", "hash", []any{"array", hashes(50)}}}},
		{"all nodes", "nodes", []any{"extract", []string{"certname", "report_environment", "latest_report_status"}}},
		{"two facts of all nodes", "inventory", []any{"extract", []string{"certname", "facts.role", "facts.datacenter"}}},
	} {
		body, err := json.Marshal(map[string]any{"query": q.query, "explain": "analyze"})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.PuppetDB.URL+"/pdb/query/v4/"+q.path, strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("explain of %s: status %d, %w %.300s", q.name, resp.StatusCode, err, answer)
		}
		var plan any
		if err := json.Unmarshal(answer, &plan); err != nil {
			return err
		}
		scans := map[string]int{}
		collect(plan, scans)
		fmt.Printf("| %s | %s |\n", q.name, describe(scans))
	}
	return nil
}

func hashes(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%040x", i))
	}
	return out
}

// collect counts the scans of a plan that were executed, by kind and table.
func collect(v any, scans map[string]int) {
	switch v := v.(type) {
	case string: // the plan comes as JSON in a string
		var inner any
		if strings.HasPrefix(strings.TrimSpace(v), "[") && json.Unmarshal([]byte(v), &inner) == nil {
			collect(inner, scans)
		}
	case []any:
		for _, x := range v {
			collect(x, scans)
		}
	case map[string]any:
		kind, _ := v["Node Type"].(string)
		table, _ := v["Relation Name"].(string)
		if loops, _ := v["Actual Loops"].(float64); strings.Contains(kind, "Scan") && loops > 0 && table != "" {
			scans[kind+" of "+table]++
		}
		for _, x := range v {
			collect(x, scans)
		}
	}
}

func describe(scans map[string]int) string {
	var out []string
	for s := range scans {
		out = append(out, s)
	}
	if len(out) == 0 {
		return "none found in the answer"
	}
	return strings.Join(out, ", ")
}

// cpu is what PuppetDB's JVM and all of PostgreSQL have used, in seconds.
func (b *bench) cpu() (float64, error) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	sum, jvm, postgres := 0.0, 0, 0
	stats := map[string][]string{}
	masters := map[string]bool{}
	for _, path := range found {
		pid := filepath.Base(filepath.Dir(path))
		cmdline, err := os.ReadFile(path)
		stat, err2 := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || err2 != nil {
			continue // it ended
		}
		stats[pid] = strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		mine := strings.Contains(string(cmdline), b.Dir)
		if mine && strings.Contains(string(cmdline), "puppetlabs.puppetdb.core") {
			sum, jvm = sum+seconds(stats[pid]), jvm+1
		}
		if mine && strings.Contains(string(cmdline), "/bin/postgres\x00") {
			masters[pid] = true
		}
	}
	for pid, f := range stats {
		if masters[pid] || masters[f[1]] {
			sum, postgres = sum+seconds(f), postgres+1
		}
	}
	if jvm != 1 || postgres < 2 {
		return 0, fmt.Errorf("found %d JVMs and %d processes of PostgreSQL", jvm, postgres)
	}
	return sum, nil
}

// seconds is the user and system time of a process and of its children that have ended.
func seconds(stat []string) (sum float64) {
	for _, i := range []int{11, 12, 13, 14} {
		v, err := strconv.ParseFloat(stat[i], 64)
		if err == nil {
			sum += v / 100 // USER_HZ, the same on every Linux that Go runs on
		}
	}
	return sum
}
