package puppetdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Rows decodes report rows one by one: lines of a file in PuppetDB's field names, as
// `jq -c '.[]'` makes them of an answer. It shares strings that rows have in common.
type Rows struct {
	lean *lean
	last Report
}

// NewRows makes a decoder.
func NewRows() *Rows {
	r := &Rows{}
	r.lean = newLean(func(report Report) error { r.last = report; return nil })
	return r
}

// Decode reads one row. Fields that Report does not have are checked and skipped; one that it
// has must be there, if only as null. The report keeps no part of the row.
func (r *Rows) Decode(row []byte) (Report, error) {
	if row = bytes.TrimSpace(row); len(row) == 0 || row[0] != '{' {
		return Report{}, fmt.Errorf("found %.20q, expected a JSON object", row)
	}
	n, err := r.lean.row(row)
	switch {
	case errors.Is(err, errShort):
		return Report{}, errors.New("the object does not end, expected }")
	case err != nil:
		return Report{}, err
	case n < len(row):
		return Report{}, fmt.Errorf("found %.20q after the object, expected one object", row[n:])
	}
	return r.last, nil
}

// DecodeDetail reads metrics, logs and events of a row that has them expanded; null is nothing.
func DecodeDetail(row []byte) (Detail, error) {
	var d detailRow
	if err := json.Unmarshal(row, &d); err != nil {
		return Detail{}, err
	}
	return Detail{Metrics: d.Metrics.Data, Logs: d.Logs.Data, Events: d.Events.Data}, nil
}
