package analyzer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// randomWorld is a small rollout in which anything may have gone wrong.
func randomWorld(t *rapid.T) (*world, Policy) {
	w := newWorld(rapid.IntRange(0, 6).Draw(t, "canaries"), rapid.IntRange(0, 8).Draw(t, "controls"))
	p := DefaultPolicy()
	p.Stop.Min = rapid.IntRange(1, 3).Draw(t, "stop min")
	w.StageIndex = rapid.IntRange(0, 1).Draw(t, "stage")
	for i := range w.Nodes {
		if n := &w.Nodes[i]; n.Admitted() {
			n.Stage = int32(rapid.IntRange(0, w.StageIndex).Draw(t, "node stage"))
		}
	}
	for i := range w.Runs {
		spoil(t, &w.Runs[i])
	}
	if rapid.Bool().Draw(t, "with sli") {
		p.SLIs = []SLIPolicy{errorRate(rapid.Bool().Draw(t, "required"))}
		s := w.sample(rapid.SampledFrom([]float64{0, .5}).Draw(t, "shift"))
		for n := range s.Canary {
			s.Canary[n] += rapid.SampledFrom([]float64{0, 0, 0, math.NaN(), math.Inf(1)}).Draw(t, "extra")
		}
	}
	w.Sources.Fresh = rapid.IntRange(0, 9).Draw(t, "fresh") > 0
	return w, p
}

func spoil(t *rapid.T, r *Run) {
	resource := rapid.SampledFrom([]string{"Exec[a]", "Exec[b]"})
	switch rapid.IntRange(0, 40).Draw(t, "spoil") {
	case 1:
		r.fail(resource.Draw(t, "resource"))
	case 2:
		r.failCompile("boom")
	case 3:
		r.hide("boom")
	case 4:
		r.Noop = true
	case 5:
		r.Status = "failed"
	case 6:
		r.Start = time.Time{}
	case 7:
		r.CachedCatalog = "explicitly_requested"
	case 8:
		r.fail(resource.Draw(t, "resource"))
		r.Detail.Metrics[metricFailedToRestart] = 1
	case 9:
		r.Produced = r.Produced.Add(2 * time.Hour)
	}
}

func verdictBytes(t *rapid.T, p Policy, e Evidence) []byte {
	b, err := json.Marshal(Judge(p, e))
	if err != nil {
		t.Fatalf("verdict that is no JSON: %v", err)
	}
	return b
}

func TestVerdictDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, p := randomWorld(t)
		want := verdictBytes(t, p, w.Evidence)

		shuffled := w.Evidence
		shuffled.Nodes = rapid.Permutation(w.Nodes).Draw(t, "nodes")
		shuffled.SLIs = rapid.Permutation(w.SLIs).Draw(t, "slis")
		seed := rapid.Uint64().Draw(t, "seed")
		// A feed that reads with an overlap may deliver a report twice.
		shuffled.Runs = append(append([]Run(nil), w.Runs...), w.Runs[:len(w.Runs)/2]...)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled.Runs), func(i, j int) {
			shuffled.Runs[i], shuffled.Runs[j] = shuffled.Runs[j], shuffled.Runs[i]
		})
		shuffled.Now = w.Now.In(time.FixedZone("elsewhere", 3600))
		if got := verdictBytes(t, p, shuffled); !bytes.Equal(got, want) {
			t.Fatalf("order changed the verdict:\n%s\n%s", got, want)
		}
	})
}

func TestVerdictDoesNotDependOnTheOrderInsideAReport(t *testing.T) {
	w := newWorld(1, 10)
	a := Failure{Kind: KindResource, Resource: "Exec[a]", Line: 1}
	b := Failure{Kind: KindResource, Resource: "Exec[a]", Line: 2}
	judge := func(failures ...Failure) Verdict {
		w.nth(c0, 1).fail("")
		w.nth(c0, 1).Detail.Failures = failures
		return w.judge()
	}
	if diff := cmp.Diff(judge(a, b), judge(b, a)); diff != "" {
		t.Error(diff)
	}
}

func TestStoredEvidenceGivesTheSameVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, p := randomWorld(t)
		stored, err := w.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		var again Evidence
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Fatal(err)
		}
		if got, want := verdictBytes(t, p, again), verdictBytes(t, p, w.Evidence); !bytes.Equal(got, want) {
			t.Fatalf("replay changed the verdict:\n%s\n%s", got, want)
		}
		sum := sha256.Sum256(stored)
		if v := Judge(p, again); v.Evidence != hex.EncodeToString(sum[:]) {
			t.Fatalf("evidence %s, want the digest of what is stored, %x", v.Evidence, sum)
		}
		if whole, err := json.Marshal(w.normalized()); err != nil || !bytes.Equal(whole, stored) {
			t.Fatalf("stored is not what json.Marshal writes, %v:\n%s\n%s", err, stored, whole)
		}
	})
}

// An oracle much simpler than Judge: what must hold whenever it says pass.
func TestAPassIsNeverGivenWithoutProof(t *testing.T) {
	passes := 0
	rapid.Check(t, func(t *rapid.T) {
		w, p := randomWorld(t)
		v := Judge(p, w.Evidence)
		if v.Result != Pass {
			return
		}
		passes++
		proof := 0
		for _, n := range w.Nodes {
			if !n.Admitted() {
				continue
			}
			runs := map[string]bool{}
			for _, r := range w.Runs {
				if r.Certname == n.Certname && r.Environment == "cand" && r.CachedCatalog == "not_used" && !r.Noop && !r.Start.Before(n.AdmittedAt.Time()) {
					runs[r.Hash] = true
				}
			}
			proof += oneIf(len(runs) >= p.Runs)
			if last := w.nth(n.Certname, 1); last.failed() && last.CatalogUUID == "" || last.CachedCatalog == "on_failure" {
				t.Fatalf("pass although %s does not compile", n.Certname)
			}
		}
		if proof == 0 || !w.Sources.Fresh || v.Grade != Clean || len(v.Missing) > 0 {
			t.Fatalf("pass with %d proven nodes, fresh %v, grade %q, missing %v", proof, w.Sources.Fresh, v.Grade, v.Missing)
		}
	})
	if passes == 0 {
		t.Error("no world passed: this test shows nothing")
	}
}

// Whatever else goes on, a change that breaks every admitted node in a new way stops.
func TestABrokenChangeAlwaysStops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, p := randomWorld(t)
		p.Stop.Min = 1
		compile := rapid.Bool().Draw(t, "compile")
		admitted := 0
		for _, n := range w.Nodes {
			if !n.Admitted() {
				continue
			}
			admitted++
			for i := range 2 {
				r := w.run(n.Certname, time.Duration(i-5)*time.Minute, "cand")
				if compile {
					r.failCompile("never seen before")
				} else {
					r.fail("Exec[never seen before]")
				}
			}
		}
		// A failure elsewhere that nobody can name may be the same, and then it holds.
		w.drop(func(r Run) bool { return r.Status != "failed" || r.Detail != nil })
		v := Judge(p, w.Evidence)
		if admitted > 0 && (v.Result != Fail || v.Road != RoadStopRule || v.Culprit == nil) {
			t.Fatalf("got %s by %q (%s), want fail by the stop rule", v.Result, v.Road, v.Reason)
		}
		if admitted == 0 && v.Result != Inconclusive {
			t.Fatalf("got %s without an admitted node", v.Result)
		}
	})
}

func TestJudgeLeavesItsInputAlone(t *testing.T) {
	w := newWorld(3, 3)
	w.nth(c0, 1).fail("Exec[z]")
	w.nth(c0, 1).Detail.Failures = append(w.nth(c0, 1).Detail.Failures, Failure{Kind: KindResource, Resource: "Exec[a]"})
	w.sample(0).Canary[c0] = math.NaN()
	before := fmt.Sprintf("%v %v", w.Evidence, *w.nth(c0, 1).Detail)
	w.judge()
	if after := fmt.Sprintf("%v %v", w.Evidence, *w.nth(c0, 1).Detail); before != after {
		t.Errorf("the evidence changed:\n%s\n%s", before, after)
	}
}

func FuzzJudgeStoredEvidence(f *testing.F) {
	for _, w := range []*world{newWorld(0, 0), newWorld(1, 1), newWorld(2, 2)} {
		b, err := w.Canonical()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Evidence
		if json.Unmarshal(b, &e) != nil {
			return
		}
		v := Judge(DefaultPolicy(), e)
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("verdict that is no JSON: %v", err)
		}
		if v.Result == Pass && (v.Counts.Exposed == 0 || v.Counts.Runs < 2 || !e.Sources.Fresh || len(v.Missing) > 0) {
			t.Fatalf("pass without proof: %+v", v)
		}
		if v.Result == Inconclusive && len(v.Missing) == 0 {
			t.Fatalf("inconclusive without saying what is missing: %+v", v)
		}
	})
}

func FuzzResultText(f *testing.F) {
	f.Add("pass")
	f.Add("inconclusive")
	f.Add("Pass")
	f.Fuzz(func(t *testing.T, s string) {
		var r Result
		if err := r.UnmarshalText([]byte(s)); err == nil && s != "" && r.String() != s {
			t.Fatalf("%q is read as %s", s, r)
		}
	})
}
