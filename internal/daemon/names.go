package daemon

import "hash/maphash"

// names numbers certnames. A map with a million names takes 50 bytes for each of them; here it is about ten, since the
// names stand in a list anyway and a slot only holds a number.
type names struct {
	list  []string
	slots []uint32 // number + 1, 0 = free; a power of two of them, half of them free at least
	seed  maphash.Seed
}

func newNames() names { return names{seed: maphash.MakeSeed()} }

// find gives a name's number.
func (n *names) find(name string) (uint32, bool) {
	if len(n.slots) == 0 {
		return 0, false
	}
	slot := n.slots[n.slot(name)]
	return slot - 1, slot > 0
}

// slot is where a name is, or where it would be.
func (n *names) slot(name string) int {
	mask := len(n.slots) - 1
	i := int(maphash.String(n.seed, name)) & mask
	for n.slots[i] > 0 && n.list[n.slots[i]-1] != name {
		i = (i + 1) & mask
	}
	return i
}

// add numbers a name that is not there yet.
func (n *names) add(name string) uint32 {
	n.room(1)
	id := uint32(len(n.list))
	n.list = append(n.list, name)
	n.slots[n.slot(name)] = id + 1
	return id
}

// room makes room for more names.
func (n *names) room(more int) {
	need := len(n.list) + more
	if need > cap(n.list) {
		n.list = append(make([]string, 0, need+len(n.list)/64), n.list...)
	}
	if 2*need <= len(n.slots) {
		return
	}
	size := max(16, len(n.slots))
	for size < 2*need {
		size *= 2
	}
	n.slots = make([]uint32, size)
	n.fill()
}

// fill puts the names into slots that are all free.
func (n *names) fill() {
	for i, name := range n.list {
		n.slots[n.slot(name)] = uint32(i) + 1
	}
}

// cut leaves the first names of the list only, which somebody put in order.
func (n *names) cut(first int) {
	clear(n.list[first:])
	n.list = n.list[:first]
	clear(n.slots)
	n.fill()
}
