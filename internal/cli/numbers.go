package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// readNumbers reads a file of numbers, one a line, or one column of CSV. Errors
// name the file and the line.
func readNumbers(stdin io.Reader, file, column string) ([]float64, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	read := readLines
	if column != "" {
		read = func(in io.Reader, file string) ([]float64, error) { return readColumn(in, file, column) }
	}
	values, err := read(withoutMark(in), file)
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("%s: no numbers, expected at least one", file)
	}
	return values, err
}

// withoutMark leaves out the byte order mark that spreadsheets write.
func withoutMark(in io.Reader) io.Reader {
	b := bufio.NewReader(in)
	if start, _ := b.Peek(3); bytes.Equal(start, []byte("\ufeff")) {
		_, _ = b.Discard(len(start))
	}
	return b
}

func readLines(in io.Reader, file string) ([]float64, error) {
	var values []float64
	lines := bufio.NewScanner(in)
	n := 1
	for ; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		v, err := parseNumber(text)
		if err != nil {
			if strings.ContainsAny(text, ",;") {
				err = fmt.Errorf("%w (a column of a CSV file is chosen with --column)", err)
			}
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		values = append(values, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, n, err)
	}
	return values, nil
}

func readColumn(in io.Reader, file, column string) ([]float64, error) {
	r := csv.NewReader(in)
	r.TrimLeadingSpace = true
	r.ReuseRecord = true
	var values []float64
	index := -1
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, csvError(file, err)
		}
		if first {
			if index, err = columnOf(row, column); err != nil {
				line, _ := r.FieldPos(0)
				return nil, fmt.Errorf("%s:%d: %w", file, line, err)
			}
			if isHeader(row, index, column) {
				continue
			}
		}
		v, err := parseNumber(strings.TrimSpace(row[index]))
		if err != nil {
			line, _ := r.FieldPos(index)
			return nil, fmt.Errorf("%s:%d: column %s: %w", file, line, column, err)
		}
		values = append(values, v)
	}
}

// columnOf finds a column by its number, or by its name in the first line.
func columnOf(row []string, column string) (int, error) {
	if n, err := strconv.Atoi(column); err == nil {
		if n < 1 || n > len(row) {
			return 0, fmt.Errorf("no column %d, expected 1 to %d", n, len(row))
		}
		return n - 1, nil
	}
	named := func(name string) bool { return strings.TrimSpace(name) == column }
	i := slices.IndexFunc(row, named)
	if i < 0 {
		return 0, fmt.Errorf("no column %q, expected one of %s", column, strings.Join(row, ", "))
	}
	if slices.ContainsFunc(row[i+1:], named) {
		return 0, fmt.Errorf("two columns are called %q: expected one, or the number of a column", column)
	}
	return i, nil
}

// isHeader: a column chosen by name has a header, one chosen by number has one
// where the first line holds text.
func isHeader(row []string, index int, column string) bool {
	if _, err := strconv.Atoi(column); err != nil {
		return true
	}
	text := strings.TrimSpace(row[index])
	_, err := strconv.ParseFloat(text, 64)
	return text != "" && errors.Is(err, strconv.ErrSyntax)
}

func csvError(file string, err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%s:%d: %w", file, p.Line, p.Err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// parseNumber reads a number. NaN is refused: it stands for missing data.
func parseNumber(text string) (float64, error) {
	if text == "" {
		return 0, errors.New("empty, expected a number")
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%.40q is out of range, expected a number below 1.8e308", text)
	case err != nil || math.IsNaN(v):
		return 0, fmt.Errorf("%.40q, expected a number", text)
	}
	return v, nil
}
