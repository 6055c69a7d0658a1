package stats

import "slices"

// radixFrom is the length from which sorting by digits is faster than by comparison.
const radixFrom = 512

const (
	digitBits = 11
	lowBits   = 64 - 3*digitBits // left to comparison
)

// ascending is a sorted copy. Long ones are sorted by the upper 33 bits of their
// place among the floats, and the few that agree in these by comparison.
func ascending(data []float64) []float64 {
	if len(data) < radixFrom {
		out := slices.Clone(data)
		slices.Sort(out)
		return out
	}
	keys := make([]uint64, len(data))
	var counts [3][1 << digitBits]uint32
	for i, v := range data {
		k := uint64(order(v)) ^ 1<<63
		keys[i] = k
		counts[0][k>>lowBits&(1<<digitBits-1)]++
		counts[1][k>>(lowBits+digitBits)&(1<<digitBits-1)]++
		counts[2][k>>(lowBits+2*digitBits)]++
	}
	keys = byDigits(keys, &counts)
	sortRuns(keys)
	out := make([]float64, len(keys))
	for i, k := range keys {
		out[i] = unorder(int64(k ^ 1<<63))
	}
	return out
}

// byDigits moves the keys in three stable passes, from the lowest digit up. A digit
// that all keys share needs none.
func byDigits(keys []uint64, counts *[3][1 << digitBits]uint32) []uint64 {
	spare := make([]uint64, len(keys))
	for d := range counts {
		shift := lowBits + d*digitBits
		at := &counts[d]
		if at[keys[0]>>shift&(1<<digitBits-1)] == uint32(len(keys)) {
			continue
		}
		sum := uint32(0)
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, k := range keys {
			digit := k >> shift & (1<<digitBits - 1)
			spare[at[digit]] = k
			at[digit]++
		}
		keys, spare = spare, keys
	}
	return keys
}

// sortRuns sorts the keys that agree in all digits.
func sortRuns(keys []uint64) {
	for i := 0; i < len(keys); {
		j := i + 1
		for j < len(keys) && keys[j]>>lowBits == keys[i]>>lowBits {
			j++
		}
		if j-i > 1 {
			slices.Sort(keys[i:j])
		}
		i = j
	}
}
