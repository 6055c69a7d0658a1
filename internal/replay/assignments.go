package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// Assignments are who was in which cohort, by certname.
type Assignments struct {
	Nodes []Assigned
	// Columns are the names of what makes strata, in the order of Assigned.Values.
	Columns []string
}

// Assigned is one node.
type Assigned struct {
	Certname   string
	AdmittedAt time.Time // zero for a control
	Values     []string
}

// ReadAssignments reads CSV whose first line names its columns: certname, cohort (canary or control),
// admitted_at (RFC 3339, of canaries only), and any others, which make strata. name is the file's, for errors.
func ReadAssignments(name string, r io.Reader) (*Assignments, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: empty, expected a line with the columns certname,cohort,admitted_at", name)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	col, columns, err := columnsOf(head)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	a := &Assignments{Columns: columns}
	lines := map[string]int{}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := in.FieldPos(0)
		n, err := col.node(record)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if first, twice := lines[n.Certname]; twice {
			return nil, fmt.Errorf("%s:%d: certname: %s stands in line %d too, expected each node once", name, line, n.Certname, first)
		}
		lines[n.Certname] = line
		a.Nodes = append(a.Nodes, n)
	}
	a.sort()
	if len(a.Nodes) == 0 {
		return nil, fmt.Errorf("%s: no node", name)
	}
	return a, nil
}

func (a *Assignments) sort() {
	slices.SortFunc(a.Nodes, func(x, y Assigned) int { return strings.Compare(x.Certname, y.Certname) })
}

type columns struct {
	certname, cohort, admitted int
	others                     []int
}

func columnsOf(head []string) (columns, []string, error) {
	c := columns{-1, -1, -1, nil}
	var others []string
	for i, name := range head {
		name = strings.TrimPrefix(strings.TrimSpace(name), "\ufeff")
		at, known := map[string]*int{"certname": &c.certname, "cohort": &c.cohort, "admitted_at": &c.admitted}[name]
		switch {
		case name == "" || slices.Contains(others, name) || known && *at >= 0:
			return c, nil, fmt.Errorf("column %d: %q, expected a name of its own", i+1, name)
		case known:
			*at = i
		default:
			c.others, others = append(c.others, i), append(others, strings.Clone(name))
		}
	}
	if c.certname < 0 || c.cohort < 0 || c.admitted < 0 {
		return c, nil, fmt.Errorf("columns %s, expected certname, cohort and admitted_at among them", strings.Join(head, ","))
	}
	return c, others, nil
}

func (c columns) node(record []string) (n Assigned, err error) {
	n.Certname = strings.Clone(record[c.certname])
	if n.Certname == "" {
		return n, errors.New("certname: empty")
	}
	at := record[c.admitted]
	switch cohort := record[c.cohort]; cohort {
	case "control":
		if at != "" {
			return n, fmt.Errorf("admitted_at: %q of a control, expected it to be empty", at)
		}
	case "canary":
		if n.AdmittedAt, err = time.Parse(time.RFC3339, at); err != nil {
			return n, fmt.Errorf("admitted_at: %q, expected a time such as 2027-01-31T08:00:00Z", at)
		}
		n.AdmittedAt = n.AdmittedAt.UTC()
	default:
		return n, fmt.Errorf("cohort: %q, expected canary or control", cohort)
	}
	for _, i := range c.others {
		n.Values = append(n.Values, strings.Clone(record[i]))
	}
	return n, nil
}

// Cohorts counts both, and is an error if one is missing.
func (a *Assignments) Cohorts() (canaries, controls int, err error) {
	for _, n := range a.Nodes {
		if n.AdmittedAt.IsZero() {
			controls++
		} else {
			canaries++
		}
	}
	switch {
	case canaries == 0:
		err = errors.New("no canary among the assignments: nothing to judge")
	case controls == 0:
		err = errors.New("no control among the assignments: nothing to compare with")
	}
	return canaries, controls, err
}

// strata names every node's stratum by the given columns, small ones merged.
func (a *Assignments) strata(by []string) ([]string, error) {
	var at []int
	for _, name := range by {
		i := slices.Index(a.Columns, name)
		if i < 0 {
			return nil, fmt.Errorf("no column %q makes strata, expected some of: %s", name, strings.Join(a.Columns, ", "))
		}
		at = append(at, i)
	}
	keys, controls := make([]string, len(a.Nodes)), map[string]int{}
	for i, n := range a.Nodes {
		values := make([]string, len(at))
		for k, j := range at {
			values[k] = n.Values[j]
		}
		keys[i] = analyzer.StratumKey(values)
		if controls[keys[i]] += 0; n.AdmittedAt.IsZero() {
			controls[keys[i]]++
		}
	}
	names := analyzer.MergeStrata(controls, len(at), analyzer.LeastInStratum)
	for i, key := range keys {
		keys[i] = names[key]
	}
	return keys, nil
}
