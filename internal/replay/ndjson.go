package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// longestLine bounds one report with its logs and events.
const longestLine = 64 << 20

// ReadReports adds the reports of a file, one JSON object a line in the names of PuppetDB's
// reports endpoint. Empty lines are passed over. Metrics, logs and events may be null or absent: then
// a failed run has no culprit, and corrective changes cannot be counted. name is the file's, for errors;
// read is told how many bytes a line took.
func (h *History) ReadReports(name string, r io.Reader, read func(n int)) error {
	in, rows := bufio.NewReaderSize(r, 1<<20), puppetdb.NewRows()
	var long []byte
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		for long = long[:0]; errors.Is(err, bufio.ErrBufferFull); line, err = in.ReadSlice('\n') {
			if long = append(long, line...); len(long) > longestLine {
				return fmt.Errorf("%s:%d: longer than %d MiB, expected one report a line", name, n, longestLine>>20)
			}
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = line
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		read(len(line))
		if len(bytes.TrimSpace(line)) > 0 {
			if err := h.line(rows, line); err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (h *History) line(rows *puppetdb.Rows, line []byte) error {
	if line[0] == '[' {
		return errors.New("found an array, expected one report a line (jq -c '.[]')")
	}
	report, err := rows.Decode(line)
	if err != nil {
		return err
	}
	run := intake.Run(report)
	var m metrics
	var back float64
	if back, m.known = metric(line, "resources", "corrective_change"); m.known {
		m.corrective = back > 0
		m.retrieval, _ = metric(line, "time", "config_retrieval")
	}
	if failed(&run) {
		d, err := puppetdb.DecodeDetail(line)
		if err != nil {
			return err
		}
		if len(d.Metrics)+len(d.Logs)+len(d.Events) > 0 {
			run.Detail = intake.Detail(d)
		}
	}
	h.add(run, m)
	return nil
}

// metric finds one without decoding all others: its name stands as the value of a member "name" in a flat object.
func metric(line []byte, category, name string) (value float64, found bool) {
	quoted := []byte(`"` + name + `"`)
	for from := 0; ; {
		i := bytes.Index(line[from:], quoted)
		if i < 0 {
			return 0, false
		}
		at := from + i
		from = at + len(quoted)
		if before := bytes.TrimRight(line[:at], " \t"); len(before) == 0 || before[len(before)-1] != ':' {
			continue // a column of that name
		}
		open, end := bytes.LastIndexByte(line[:at], '{'), bytes.IndexByte(line[at:], '}')
		if open < 0 || end < 0 {
			continue
		}
		var m struct {
			Category, Name string
			Value          *float64
		}
		if json.Unmarshal(line[open:at+end+1], &m) == nil && m.Name == name && m.Category == category && m.Value != nil {
			return *m.Value, true
		}
	}
}
