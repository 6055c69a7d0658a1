package walk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Faults that are put into the program itself: a piece of its source, what stands there instead while the fault is on, and the invariants of
// which one breaks first. All are built into one program at once, each behind its name.
var inProgram = []struct{ name, file, old, new, breaks string }{
	{"a pause is overlooked", "gate/gates.go", "if _, paused := s.w.Stops.Pause[name]; !paused {", `if _, paused := s.w.Stops.Pause[name]; !paused || fault("a pause is overlooked") {`, "no growth with a closed gate"},
	{"an order stays", "gate/order.go", "st.Passed, s.state.Promoted = s.w.Now, nil\n", `if st.Passed = s.w.Now; !fault("an order stays") {
		s.state.Promoted = nil
	}
`, "an order is for one stage"},
	{"an order passes a freeze", "gate/order.go", "s.haltGate(), s.freezeGate(), s.pauseGate()", `s.haltGate(), map[bool]Gate{false: s.freezeGate(), true: s.haltGate()}[fault("an order passes a freeze")], s.pauseGate()`, "no growth with a closed gate"},
	{"a skip is forgotten", "gate/order.go", "		s.state.Skips = skips\n", `		if !fault("a skip is forgotten") {
			s.state.Skips = skips
		}
`, "a skipped stage admits nobody"},
	{"a revert goes to when it was asked", "gate/revert.go", "return s.FormerBaseline, nil, \"\"", `if fault("a revert goes to when it was asked") {
		return spec.Baseline, nil, ""
	}
	return s.FormerBaseline, nil, ""`, "a revert gives back"},
	{"one more than the limit", "gate/blast.go", "total+1 > rule.Limit.Of(fleet) {", `total+1 > rule.Limit.Of(fleet) && (total > rule.Limit.Of(fleet) || !fault("one more than the limit")) {`, "unproven change is bounded"},
	{"a domain has no limit", "gate/blast.go", "by[d]+1 > most {", `by[d]+1 > most && !fault("a domain has no limit") {`, "unproven change is bounded"},
	{"a limit of nobody stops", "gate/blast.go", "a := s.blastRoom(p, from, to); a.why != \"\" {", `a := s.blastRoom(p, from, to); a.why != "" || a.bounded && fault("a limit of nobody stops") {`, "every standstill is explained, rollouts end"},
	{"what an order left is proven", "gate/blast.go", "for i > 0 && s.Stages[i-1].Verdict == \"\" {", `for i > 0 && s.Stages[i-1].Verdict == "" && !fault("what an order left is proven") {`, "unproven change is bounded, one unproven change a node"},
	{"two changes at a time", "gate/blast.go", "shared.among(p, from, to); n > 0 {", `shared.among(p, from, to); n > 0 && !fault("two changes at a time") {`, "one unproven change a node"},
	{"two steps in one look", "gate/blast.go", "		if o.moved() {\n", `		if o.moved() && !fault("two steps in one look") {
`, "one unproven change a node"},
	{"one more leaves", "gate/departed.go", "		if gone > most {\n", `		if gone > most && (gone > most+1 || !fault("one more leaves")) {
`, "no growth with a closed gate"},
	{"one more in flight", "gate/step.go", "return s.inFlight() - (counts.Live - counts.Exposed)\n", `if fault("one more in flight") {
		return s.inFlight() + 1 - (counts.Live - counts.Exposed)
	}
	return s.inFlight() - (counts.Live - counts.Exposed)
`, "ramp"},
	{"a cut-out ends with its key", "gate/cap.go", "case c.Kind() == CapCutOut && lifted(c.Source()), c.Kind() != CapCutOut && !wished:", `case c.Kind() == CapCutOut && lifted(c.Source()), (c.Kind() != CapCutOut || fault("a cut-out ends with its key")) && !wished:`, "a cut-out stays"},
	{"a cap begins without a document", "gate/giveback.go", "if s.w.Halt != \"\" ||", `if s.w.Halt != "" && !fault("a cap begins without a document") ||`, "nodes keep the change, a cut-out stays"},
	{"an order in the last stage proves", "gate/blast.go", "st.Full.After(last) {", `st.Full.After(last) && !fault("an order in the last stage proves") {`, "unproven change is bounded, one unproven change a node"},
	{"a revert is not asked again", "gate/backout.go", "	return s.outdated(s.r)\n", `	if fault("a revert is not asked again") {
		return ""
	}
	return s.outdated(s.r)
`, "a revert undoes one rollout"},
	{"newcomers make up for others", "gate/came.go", "	return t.before + below(t.came, limit)\n", `	if fault("newcomers make up for others") {
		return 0
	}
	return t.before + below(t.came, limit)
`, "no growth with a closed gate"},
	{"a lifted cap is over", "gate/cap.go", "			if c.Kind() == CapAhead { //", `			if c.Kind() == CapAhead || fault("a lifted cap is over") { //`, "no growth with a closed gate, ramp, in order, a cut-out stays"},
	{"a pause ends with its flag", "gate/flags/latch.go", "		case f.Pause == Released:\n", `		case f.Pause == Released, f.Pause == Unset && fault("a pause ends with its flag"):
`, "no growth with a closed gate, latched stops stay"},
	{"a pin wins over caps", "segments/admit.go", "if held && c.Limit.Less(a.Limit) {", `if held && c.Limit.Less(a.Limit) && (a.Reason != ReasonPinCandidate || !fault("a pin wins over caps")) {`, "one admission function, caps win"},
	{"an edge takes what is older", "internal/enc/accept.go", "case next.Generation < prev.Generation:", `case next.Generation < prev.Generation && !fault("an edge takes what is older"):`, "bad documents change nothing"},
	{"a cap is lifted for nothing", "internal/enc/advance.go", "		case limit.Less(want):\n", `		case limit.Less(want) && !fault("a cap is lifted for nothing"):
`, "speed limit, stops act at once"},
}

// seldom gives, for faults that a walk comes upon late, the first episode of one that does so early.
var seldom = map[string]string{"an order in the last stage proves": "12072", "newcomers make up for others": "105", "a cap begins without a document": "184",
	"a revert goes to when it was asked": "289"}

// faultSwitch says whether a fault is on, in every package that has one.
const faultSwitch = `package %s

import "os"

func fault(name string) bool { return on == name }

var on = os.Getenv("WALK_FAULT")
`

// faulty builds this test with all faults in it.
func faulty(t *testing.T) string {
	t.Helper()
	root, dir := filepath.Join("..", ".."), t.TempDir()
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	write := func(name, text string) {
		replace[filepath.Join(root, name)] = filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(replace[filepath.Join(root, name)], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources := map[string]string{}
	for _, f := range inProgram {
		text, read := sources[f.file]
		if !read {
			data, err := os.ReadFile(filepath.Join(root, f.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if n := strings.Count(text, f.old); n != 1 {
			t.Fatalf("%s: %s has %d places like %q, expected one", f.name, f.file, n, f.old)
		}
		sources[f.file] = strings.Replace(text, f.old, f.new, 1)
		write(f.file, sources[f.file])
		write(path.Join(path.Dir(f.file), "fault.go"), fmt.Sprintf(faultSwitch, path.Base(path.Dir(f.file))))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "walk.test")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("the program with faults cannot be built: %v\n%s", err, out)
	}
	return bin
}

// Every fault that is put into the program is found by the walk that CI takes, and none is found where none is on.
func TestWalkFindsFaultsInTheProgram(t *testing.T) {
	bin := faulty(t)
	walk := func(t *testing.T, name, steps string) (string, error) {
		c := exec.CommandContext(t.Context(), bin, "-test.run", "^TestWalk$", "-walk.steps", steps, "-walk.shrink=false", "-walk.seed", cmp.Or(seldom[name], "1"))
		c.Env = append(os.Environ(), "WALK_FAULT="+name, "GOGC=400")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := walk(t, "", "60000"); err != nil {
		t.Fatalf("without a fault: %v\n%s", err, out)
	}
	for _, f := range inProgram {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			out, err := walk(t, f.name, "1000000")
			_, told, found := strings.Cut(out, "seed ")
			if _, told, _ = strings.Cut(told, ": "); err == nil || !found {
				t.Fatalf("not found in a million steps: %v\n%s", err, out)
			}
			if invariant, _, _ := strings.Cut(told, ":"); !slices.Contains(strings.Split(f.breaks, ", "), invariant) {
				t.Errorf("it is told by another invariant than %s: %s", f.breaks, out)
			}
		})
	}
}
