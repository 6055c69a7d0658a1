package main

import "testing"

// TestFiguresAreRead: what the commands print is found, and what they do not print is not made up.
func TestFiguresAreRead(t *testing.T) {
	out := `
BenchmarkDecodeLean/lean-2         	      26	  40000000 ns/op	 240.1 MB/s	   1046000 rows/s
BenchmarkLedger-2   	       5	 152000000 ns/op	   1310000 reports/s
BenchmarkLook/1000000-2         	      12	  89000000 ns/op
BenchmarkAcceptMillion/first-2 	       8	 131000000 ns/op
    accept_bench_test.go:117: 279 bytes per rollout
    stepsize_test.go:89: 8 steps; the largest wrote 2920 bytes (map[]), and
members and stage in sets of 1000000, 1 rollout              1263 µs   1055 µs   1.197   1.190 to 1.210
| 1000 | 0.6 | 0.1 | 0.27 | 24 / 25 | 13ms | 0.1 |
| 10000 | 5.2 | 0.4 | 0.28 | 31 / 32 | 6ms | 0.2 |
first bad report to baseline in the document, poll every 5s, 3 changes: median 2.05s, p90 4s, most 4.7s
| a pause by a person | 17ms / 25ms / 27ms | 44000 |
A set of 1000000 nodes: 17000000 bytes in 179 keys (17.00 bytes a node), written in 390ms.
polled by the feed:   0.200 ms of CPU a report (500000 reports, every re-read in six hours counted): 3.20 % of storing it
streaming 181818 rows:  curl 10.1s, client 10.18s: 1.01 of curl's speed
`
	want := map[string]string{
		"reports decoded, a core": "1046000 /s", "reports taken over, a core": "1310000 /s", "the judge over 1,000,000 nodes": "89 ms",
		"accept of 1,000,000 fingerprints": "131 ms", "the document, a rollout without sets": "279 bytes", "a percentage step, beside the audit": "2920 bytes",
		"a lookup against printing the same, sets of 1,000,000": "1.197 times", "steady state (10000 nodes)": "0.28 % at 5.2 reports/s", "resident (10000 nodes)": "31 MiB, 32 at most",
		"cold start with 2 h of history (10000 nodes)": "0.4 s", "a whole look (10000 nodes)": "6ms", "started again from its file (10000 nodes)": "0.2 s",
		"first bad report to baseline in the document, poll every 5 s": "median 2.05s, p90 4s, most 4.7s",
		"a pause reaches the last of 200 puppetservers":                "17ms / 25ms / 27ms (median / p90 / most)", "a set of 1,000,000 nodes": "17.00 bytes a node",
		"CPU of PuppetDB and PostgreSQL, polled against stored": "3.20 %", "the client against curl": "1.01",
	}
	seen := 0
	for _, p := range parts(options{sizes: "1000,10000", trials: "3", rounds: "300", site: true}) {
		for _, f := range p.figures {
			seen++
			if got, err := f.read(out); err != nil || got != want[f.name] {
				t.Errorf("%s: %q, %v, want %q", f.name, got, err, want[f.name])
			}
			if got, err := f.read("FAIL"); err == nil {
				t.Errorf("%s: %q was read off a failure", f.name, got)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d figures, want %d", seen, len(want))
	}
}
