package stats

import "math/bits"

// side counts, for every k, the ways to choose k of its observations as canary,
// by the doubled U that these k have over the rest of the side.
//
// Choosing k observations with doubled midranks ρ gives 2U = Σρ − k(k+1), which
// lies in [0, 2k(K−k)]. One observation after the other is either left out or
// chosen (Streitberg and Röhmel 1986), so only additions are needed, and
// equal values need no binomials.
type side struct {
	size  int64 // K, observations on this side
	words int   // 64-bit words of one count, least significant first
	unit  int64 // 2 if every doubled U is even, which halves the tables
	rows  [][]uint64
}

// newSide needs the sizes of the groups of equal values, ascending in value.
func newSide(groups []int64, most int64) side {
	s := side{unit: 2}
	for _, t := range groups {
		s.size += t
		if t%2 == 0 { // then the doubled midrank 2g+t+1 is odd
			s.unit = 1
		}
	}
	most = min(most, s.size)
	s.words = wordsFor(s.size, most)
	s.rows = make([][]uint64, most+1)
	for k := range s.rows {
		s.rows[k] = make([]uint64, s.width(int64(k))*int64(s.words))
	}
	s.rows[0][0] = 1
	var seen, below int64
	for _, t := range groups {
		rho := 2*below + t + 1
		for range t {
			seen++
			for k := min(seen, most); k >= 1; k-- {
				s.add(k, (rho-2*k)/s.unit)
			}
		}
		below += t
	}
	return s
}

// wordsFor holds any C(size, k) with k ≤ most, which is at most 2^size and at most
// size^most.
func wordsFor(size, most int64) int {
	width := min(size, most*int64(bits.Len64(uint64(size))))
	return int(max(1, (width+63)/64))
}

// width is the number of cells of row k; cell i stands for 2U = i·unit.
func (s side) width(k int64) int64 { return 2*k*(s.size-k)/s.unit + 1 }

// add adds row k−1, moved up by shift cells, to row k. Cells that would leave the
// row hold zero, because every partial choice can be completed.
func (s side) add(k, shift int64) {
	src, dst := s.rows[k-1], s.rows[k]
	from := max(0, -shift)
	to := min(s.width(k-1), s.width(k)-shift)
	if to <= from {
		return
	}
	w := int64(s.words)
	src, dst = src[from*w:to*w], dst[(from+shift)*w:(to+shift)*w]
	if w == 1 {
		for i, v := range src {
			dst[i] += v
		}
		return
	}
	for i := 0; i < len(src); i += s.words {
		addWords(dst[i:i+s.words], src[i:i+s.words])
	}
}

func addWords(dst, src []uint64) {
	var carry uint64
	for i, v := range src {
		dst[i], carry = bits.Add64(dst[i], v, carry)
	}
}

// accumulate turns every row into sums from each cell to the row's end.
func (s side) accumulate() {
	for _, row := range s.rows {
		for i := len(row) - 2*s.words; i >= 0; i -= s.words {
			addWords(row[i:i+s.words], row[i+s.words:i+2*s.words])
		}
	}
}

// atLeast is, after accumulate, the count of choices of k with 2U ≥ u; nil is 0.
func (s side) atLeast(k, u int64) []uint64 {
	cell := max(0, (u+s.unit-1)/s.unit)
	if cell >= s.width(k) {
		return nil
	}
	return s.rows[k][cell*int64(s.words) : (cell+1)*int64(s.words)]
}

// mulAdd adds a·b to acc, which must have room for the carry.
func mulAdd(acc, a, b []uint64) {
	for i, x := range a {
		if x == 0 {
			continue
		}
		var high uint64
		for j, y := range b {
			h, l := bits.Mul64(x, y)
			var c uint64
			l, c = bits.Add64(l, high, 0)
			h += c
			acc[i+j], c = bits.Add64(acc[i+j], l, 0)
			high = h + c
		}
		for j := i + len(b); high != 0; j++ {
			acc[j], high = bits.Add64(acc[j], high, 0)
		}
	}
}
