package puppetdb

import (
	"hash/fnv"
	"io"
	"slices"
	"sort"
)

// printSize is how many bytes of a fingerprint are kept. Of 20,000 reports that share a slice, one more is taken for known by
// mistake with a probability of 7 in 10^11; at a million nodes six hours of reports are twelve million.
const printSize = 6

// prints are the fingerprints of one slice: those of its news in a map, those of its past in a few bytes each.
type prints struct {
	fresh   map[uint64]struct{}
	settled []byte // printSize each, sorted
	past    digest // instead of both, once they are condensed
}

// digest tells sets of fingerprints from each other, in any order.
type digest struct {
	count int
	sum   uint64
}

func (d *digest) add(print uint64) {
	d.count++
	d.sum += print
}

func (p *prints) condensed() bool { return p.past.count > 0 }

// condense forgets which fingerprints there are.
func (p *prints) condense() { *p = prints{past: p.digest()} }

func (p *prints) digest() digest {
	d := p.past
	for i := range len(p.settled) / printSize {
		d.add(p.at(i))
	}
	for print := range p.fresh {
		d.add(print)
	}
	return d
}

// known says whether a fingerprint is there, and notes it.
func (p *prints) known(print uint64) bool {
	if p.condensed() {
		return true // else reopen had forgotten it
	}
	n := len(p.settled) / printSize
	if i := sort.Search(n, func(i int) bool { return p.at(i) >= print }); i < n && p.at(i) == print {
		return true
	}
	if _, ok := p.fresh[print]; ok {
		return true
	}
	if p.fresh == nil {
		p.fresh = map[uint64]struct{}{}
	}
	p.fresh[print] = struct{}{}
	return false
}

func (p *prints) at(i int) (print uint64) {
	for _, b := range p.settled[i*printSize : (i+1)*printSize] {
		print = print<<8 | uint64(b)
	}
	return print
}

// len is how many reports are known.
func (p *prints) len() int { return p.past.count + len(p.settled)/printSize + len(p.fresh) }

// settle is called when not much is to be expected any more.
func (p *prints) settle() {
	if len(p.fresh) == 0 {
		return
	}
	all := make([]uint64, 0, p.len())
	for i := range len(p.settled) / printSize {
		all = append(all, p.at(i))
	}
	for print := range p.fresh {
		all = append(all, print)
	}
	slices.Sort(all)
	p.settled, p.fresh = make([]byte, 0, len(all)*printSize), nil
	for _, print := range all {
		for shift := 8 * (printSize - 1); shift >= 0; shift -= 8 {
			p.settled = append(p.settled, byte(print>>shift))
		}
	}
}

// fingerprint condenses a report's hash, all of it, so that hashes of simulated reports, which differ in their last digits
// only, will do.
func fingerprint(hash string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, hash) // never fails
	n := h.Sum64()          // spread over all bits before some are dropped
	n = (n ^ n>>33) * 0xff51afd7ed558ccd
	return (n ^ n>>33) >> (64 - 8*printSize)
}
