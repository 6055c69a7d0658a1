package puppetdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// answerOf builds n lean rows as PuppetDB 7.12.1 writes them.
func answerOf(n int) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC)
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		now := at.Add(time.Duration(i) * 6 * time.Millisecond)
		fmt.Fprintf(&b, `{"catalog_uuid":"9424c9a6-4102-4a30-87db-%012x","receive_time":%q,"hash":"%040x","noop":false,"start_time":%q,`+
			`"producer_timestamp":%q,"cached_catalog_status":"not_used","end_time":%q,"status":"unchanged","configuration_version":"production_8f3c2d1a",`+
			`"environment":"production_8f3c2d1a","code_id":null,"certname":"web%06d.fra1.example.com"}`,
			i, wire(now.Add(40*time.Millisecond)), i*7919, wire(now.Add(-30*time.Second)), wire(now), wire(now.Add(-time.Second)), i)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// plainReport is what one would write without lean.
type plainReport struct {
	Hash                 string    `json:"hash"`
	Certname             string    `json:"certname"`
	Environment          string    `json:"environment"`
	Status               string    `json:"status"`
	Noop                 bool      `json:"noop"`
	CachedCatalogStatus  string    `json:"cached_catalog_status"`
	CatalogUUID          string    `json:"catalog_uuid"`
	CodeID               string    `json:"code_id"`
	ConfigurationVersion string    `json:"configuration_version"`
	StartTime            time.Time `json:"start_time"`
	EndTime              time.Time `json:"end_time"`
	ProducerTimestamp    time.Time `json:"producer_timestamp"`
	ReceiveTime          time.Time `json:"receive_time"`
}

// BenchmarkDecodeLean compares ways to read the same 20,000 rows.
func BenchmarkDecodeLean(b *testing.B) {
	const rows = 20_000
	answer := answerOf(rows)
	measure := func(name string, read func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(answer)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := read(); err != nil || n != rows {
					b.Fatalf("%d rows, %v", n, err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	measure("lean", func() (n int, err error) {
		err = each(bytes.NewReader(answer), leanRow, newLean(func(Report) error { n++; return nil }).row)
		return n, err
	})
	measure("encoding-json", func() (int, error) {
		var all []plainReport
		err := json.Unmarshal(answer, &all)
		return len(all), err
	})
	measure("encoding-json-stream", func() (n int, err error) {
		d := json.NewDecoder(bytes.NewReader(answer))
		if _, err := d.Token(); err != nil {
			return 0, err
		}
		for ; d.More(); n++ {
			var r plainReport
			if err := d.Decode(&r); err != nil {
				return n, err
			}
		}
		_, err = d.Token()
		return n, err
	})
	if jq, err := exec.LookPath("jq"); err == nil {
		measure("jq", func() (int, error) {
			cmd := exec.Command(jq, "-c", ".[]")
			cmd.Stdin = bytes.NewReader(answer)
			out, err := cmd.Output()
			return bytes.Count(out, []byte("\n")), err
		})
	}
}
