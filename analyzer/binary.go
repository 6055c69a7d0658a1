package analyzer

import (
	"encoding/binary"
	"errors"
)

// What a leader remembers of a node is kept in a file as well, in as few bytes as in memory (internal/daemon).

// ErrShort says that bytes end in the middle of a value.
var ErrShort = errors.New("the data ends too early")

var order = binary.LittleEndian

// AppendBinary appends the runs: their number, and eleven bytes each.
func (r *Recent) AppendBinary(b []byte) []byte {
	b = append(b, r.n)
	for _, m := range r.marks[:r.n] {
		b = order.AppendUint32(b, m.at)
		b = order.AppendUint16(b, m.length)
		b = order.AppendUint16(b, uint16(m.skew))
		b = order.AppendUint16(b, m.env)
		b = append(b, m.flags)
	}
	return b
}

// RunSize is what each run takes.
const RunSize = 11

// CutBinary reads what AppendBinary wrote from the front of b, and returns the rest.
func (r *Recent) CutBinary(b []byte) (rest []byte, err error) {
	*r = Recent{}
	if len(b) == 0 || len(b) < 1+int(b[0])*RunSize {
		return b, ErrShort
	}
	if int(b[0]) > len(r.marks) {
		return b, errors.New("more runs than a node has")
	}
	n := b[0]
	b = b[1:]
	for i := range n {
		r.marks[i] = mark{at: order.Uint32(b), length: order.Uint16(b[4:]), skew: int16(order.Uint16(b[6:])), env: order.Uint16(b[8:]), flags: b[10]}
		if i > 0 && r.marks[i].at < r.marks[i-1].at {
			return b, errors.New("runs that are not in order")
		}
		b = b[RunSize:]
	}
	r.n = n
	return b, nil
}

// ProgressSize is what a Progress takes.
const ProgressSize = 10

// AppendBinary appends ten bytes.
func (p *Progress) AppendBinary(b []byte) []byte {
	return order.AppendUint16(order.AppendUint32(order.AppendUint32(b, p.first), p.reset), p.runs)
}

// CutBinary reads what AppendBinary wrote.
func (p *Progress) CutBinary(b []byte) (rest []byte, err error) {
	if len(b) < ProgressSize {
		return b, ErrShort
	}
	*p = Progress{first: order.Uint32(b), reset: order.Uint32(b[4:]), runs: order.Uint16(b[8:])}
	return b[ProgressSize:], nil
}

// Flags of a Summary in bytes.
const (
	hasEnforced = 1 << iota
	hasOdd
	hasConvergenceBefore
	hasSilenceBefore
)

const (
	summarySize = 42
	oddSize     = 32
)

// SummarySize is how long a Summary is that begins with this byte.
func SummarySize(first byte) int {
	if first&hasOdd != 0 {
		return summarySize + oddSize
	}
	return summarySize
}

// AppendBinary appends 42 bytes, and 32 where something is odd.
func (s *Summary) AppendBinary(b []byte) []byte {
	flags := flagIf(s.Enforced, hasEnforced)
	if o := s.Odd; o != nil {
		flags |= hasOdd | flagIf(o.Convergence.Before, hasConvergenceBefore) | flagIf(o.Silence.Before, hasSilenceBefore)
	}
	b = append(b, flags)
	b = order.AppendUint32(b, uint32(s.Reports))
	b = order.AppendUint16(b, s.Typical)
	b = order.AppendUint32(b, uint32(s.Usual))
	b = order.AppendUint32(b, uint32(s.Longest))
	b = order.AppendUint64(b, uint64(s.Last))
	b = order.AppendUint64(b, uint64(s.Seen))
	b = order.AppendUint32(b, uint32(s.Runs))
	b = order.AppendUint32(b, uint32(uint16(s.Slower.Bins))|uint32(s.Slower.Runs)<<16)
	b = append(b, 0, 0, 0)
	if o := s.Odd; o != nil {
		for _, v := range []int64{o.Convergence.At, o.Convergence.Seen, o.Silence.At, o.Silence.Seen} {
			b = order.AppendUint64(b, uint64(v))
		}
	}
	return b
}

// CutBinary reads what AppendBinary wrote.
func (s *Summary) CutBinary(b []byte) (rest []byte, err error) {
	*s = Summary{}
	if len(b) == 0 || len(b) < SummarySize(b[0]) {
		return b, ErrShort
	}
	flags := b[0]
	s.Habit = Habit{Reports: int32(order.Uint32(b[1:])), Typical: order.Uint16(b[5:]), Enforced: flags&hasEnforced != 0,
		Usual: Quarters(order.Uint32(b[7:])), Longest: Quarters(order.Uint32(b[11:])), Last: int64(order.Uint64(b[15:]))}
	s.Seen, s.Runs = int64(order.Uint64(b[23:])), int32(order.Uint32(b[31:]))
	slower := order.Uint32(b[35:])
	s.Slower = Slower{Bins: int16(slower), Runs: uint8(slower >> 16)}
	if s.Slower.Bins > mostBins || s.Slower.Bins < -mostBins {
		return b, errors.New("a run time beyond all bounds")
	}
	b = b[summarySize:]
	if flags&hasOdd != 0 {
		at := func(i int) int64 { return int64(order.Uint64(b[8*i:])) }
		s.Odd = &Odd{Convergence: Onset{At: at(0), Seen: at(1), Before: flags&hasConvergenceBefore != 0}, Silence: Onset{At: at(2), Seen: at(3), Before: flags&hasSilenceBefore != 0}}
		b = b[oddSize:]
	}
	return b, nil
}
