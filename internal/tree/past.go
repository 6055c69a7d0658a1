package tree

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
)

// PastKey is the key of page n of a rollout's past.
func PastKey(rollout string, n int) string { return fmt.Sprintf("rollouts/%s/past/%05d", rollout, n) }

// mostTail is how many bytes of past a state carries before they become a page. A long ramp has thousands of steps, and the state
// is written again with every one.
const mostTail = 1500

// storedState is a state as it lies in the store: of its stages and admissions, those that are in no page.
type storedState struct {
	gate.State
	Pages int `json:"pages,omitempty"`
}

// page is a part of what lies behind a rollout: the stages it left and the steps of its thresholds, oldest first. It is written
// once and stays as it is.
type page struct {
	Stages     []gate.StageState `json:"stages,omitempty"`
	Admissions []gate.Admission  `json:"admissions,omitempty"`
}

// PutState gives the operations that put next in the place of the rollout's state as it was read: the state itself with the
// newest of its past, and now and then a page. Without turn no page is begun: a transaction has only so much room.
func (snap *Snapshot) PutState(r *Rollout, next gate.State, turn bool) []store.Op {
	var ops []store.Op
	write := func(key string, v any) { ops = append(ops, Put(key, v, snap.Versions[key])) }
	rest, pages := page{next.Stages, next.Admissions}, 0
	for pages < len(r.past) && rest.begins(&r.past[pages]) {
		rest.drop(&r.past[pages])
		pages++
	}
	kept := pages
	if turn {
		if p := rest.turn(); p != nil {
			write(PastKey(r.Spec.Name, pages), p)
			pages++
		}
	}
	for n := max(kept, pages); n < len(r.past); n++ { // the past is another one: nothing of the gate's does that
		key := PastKey(r.Spec.Name, n)
		ops = append(ops, store.DeleteCAS(key, snap.Versions[key]))
	}
	next.Stages, next.Admissions = rest.Stages, rest.Admissions
	write(StateKey(r.Spec.Name), storedState{next, pages})
	return ops
}

// begins says whether p starts with all of q and goes on after it.
func (p *page) begins(q *page) bool {
	s, a := len(q.Stages), len(q.Admissions)
	return s < len(p.Stages) && a < len(p.Admissions) &&
		same(p.Stages[:s], q.Stages) && same(p.Admissions[:a], q.Admissions)
}

func same[T any](a, b []T) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

func (p *page) drop(q *page) {
	p.Stages, p.Admissions = p.Stages[len(q.Stages):], p.Admissions[len(q.Admissions):]
}

// turn takes a page from the front, nil where what there is fits into the state. The last stage and the last step may change yet,
// and stay.
func (p *page) turn() *page {
	var q page
	size := 0
	for len(p.Stages)-len(q.Stages) > 1 && size < mostTail {
		q.Stages = p.Stages[:len(q.Stages)+1]
		size += sizeOf(q.Stages[len(q.Stages)-1])
	}
	for len(p.Admissions)-len(q.Admissions) > 1 && size < mostTail {
		q.Admissions = p.Admissions[:len(q.Admissions)+1]
		size += sizeOf(q.Admissions[len(q.Admissions)-1])
	}
	if size < mostTail {
		return nil
	}
	p.drop(&q)
	return &q
}

func sizeOf(v any) int {
	data, err := json.Marshal(v)
	if err != nil { // the types above always marshal
		panic(err.Error())
	}
	return len(data)
}

// Put writes v under key if the key is as it was read; version 0 creates it.
func Put(key string, v any, version uint64) store.Op {
	data, err := json.Marshal(v)
	if err != nil { // the types above always marshal
		panic(fmt.Sprintf("%s: %v", key, err))
	}
	return store.CAS(key, data, version)
}

// turned takes a page that was read.
func (snap *Snapshot) turned(r *Rollout, name string, e store.Entry) {
	if e.Key != PastKey(name, len(r.past)) { // they come in the order of their keys
		snap.damaged(e.Key, "expected %s", PastKey(name, len(r.past)))
		return
	}
	var p page
	if snap.decode(e, &p) {
		r.past = append(r.past, p)
	}
}

// whole puts the pages before what the state has itself.
func (snap *Snapshot) whole(r *Rollout) {
	if r.pages != len(r.past) {
		snap.damaged(StateKey(r.Spec.Name), "its past has %d pages, expected %d", len(r.past), r.pages)
		return
	}
	var all page
	for i := range r.past {
		all.Stages = append(all.Stages, r.past[i].Stages...)
		all.Admissions = append(all.Admissions, r.past[i].Admissions...)
	}
	r.State.Stages, r.State.Admissions = append(all.Stages, r.State.Stages...), append(all.Admissions, r.State.Admissions...)
}
