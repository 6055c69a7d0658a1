package stats

import (
	"fmt"
	"math"
)

// CountBins adds observations that are bins already, such as node values rounded to a
// grid, to counts: one per observation, nothing sorted. It is an error if a bin has no
// place in counts, which are then not changed. With [MannWhitneyHistogram] it is the
// road for many values.
func CountBins(counts []int64, bins []uint16) error {
	var most uint16
	for _, b := range bins {
		most = max(most, b)
	}
	if len(bins) > 0 && int(most) >= len(counts) {
		return fmt.Errorf("bin %d: %w, expected less than %d", most, ErrArgument, len(counts))
	}
	// Four tables: an addition need not wait for the one before it to the same bin.
	var tables [4][]uint32
	width := int(most) + 1
	for i := range tables {
		tables[i] = make([]uint32, width)
	}
	for len(bins) > 0 {
		part := bins[:min(len(bins), math.MaxUint32)]
		bins = bins[len(part):]
		countInto(&tables, part)
		for i := range width {
			for t := range tables {
				counts[i] += int64(tables[t][i])
				tables[t][i] = 0
			}
		}
	}
	return nil
}

func countInto(tables *[4][]uint32, bins []uint16) {
	a, b, c, d := tables[0], tables[1], tables[2], tables[3]
	for len(bins) >= 4 {
		a[bins[0]]++
		b[bins[1]]++
		c[bins[2]]++
		d[bins[3]]++
		bins = bins[4:]
	}
	for _, v := range bins {
		a[v]++
	}
}
