package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The measurement itself, at its smallest: every program prints its answer and every variant gets a line.
func TestRunMeasuresEveryVariant(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-rounds=3", "-members=1000"}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := 1 + len(situations(1000)) + 1; len(lines) != want || strings.Contains(out.String(), "NaN") {
		t.Errorf("expected %d lines:\n%s", want, out.String())
	}
	if err := run(t.Context(), []string{"-rounds=0"}, &out); err == nil {
		t.Error("no rounds gave no error")
	}
}

func TestMeasureRefusesWhatIsNotTheAnswer(t *testing.T) {
	script := func(name, content string) program {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+content+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return program{name, []string{path}, "answer\n"}
	}
	good := script("good", "echo answer")
	for want, bad := range map[string]program{
		"printed": script("other", "echo another"), "exit status 3": script("fails", "echo answer; exit 3"),
		"no such file": {"gone", []string{"/nonexistent"}, ""},
	} {
		if _, err := measure(t.Context(), []program{good, bad}, 1, 1); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad.name) {
			t.Errorf("%s: %v", bad.name, err)
		}
	}
	// One that answers when it is asked and fails when it is measured.
	later := script("later", `[ -e "$0.asked" ] && exit 4; : > "$0.asked"; echo answer`)
	if _, err := measure(t.Context(), []program{later}, 1, 1); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("a failure while measured: %v", err)
	}
	samples, err := measure(t.Context(), []program{good}, 4, 1)
	if err != nil || len(samples["good"]) != 4 {
		t.Errorf("%v %v", samples, err)
	}
}

func TestReportLimit(t *testing.T) {
	v := []variant{{"slow", program{name: "a"}, program{name: "b"}}}
	samples := map[string][]time.Duration{"a": {200, 201, 199, 200}, "b": {100, 101, 99, 100}}
	var out bytes.Buffer
	if err := report(&out, v, samples, 1, 1.3); err == nil || !strings.Contains(err.Error(), "expected at most 1.300") {
		t.Errorf("twice as slow: %v", err)
	}
	if err := report(&out, v, samples, 1, 2.5); err != nil {
		t.Errorf("within the limit: %v", err)
	}
}

func TestMedian(t *testing.T) {
	for want, in := range map[float64][]time.Duration{1: {1}, 2.5: {4, 1, 3, 2}, 3: {9, 3, 1}} {
		if got := median(in); got != want {
			t.Errorf("median(%v) = %v, want %v", in, got, want)
		}
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(ratio(nil, nil, 1).Estimate) {
		t.Error("nothing has a median")
	}
}

// A 95 % interval holds the truth about 95 times in 100: here at least 85 of 100 seeded samples.
func TestRatioInterval(t *testing.T) {
	rng, held := rand.New(rand.NewPCG(7, 7)), 0
	for seed := range uint64(100) {
		var a, b []time.Duration
		for range 60 {
			machine := 1 + 0.3*rng.Float64() // slows both
			a = append(a, time.Duration(1200e3*machine*math.Exp(0.1*rng.NormFloat64())))
			b = append(b, time.Duration(1000e3*machine*math.Exp(0.1*rng.NormFloat64())))
		}
		r := ratio(a, b, seed)
		if r.Low > r.Estimate || r.High < r.Estimate || r != ratio(a, b, seed) {
			t.Fatalf("%+v, again %+v", r, ratio(a, b, seed))
		}
		if r.Low <= 1.2 && 1.2 <= r.High {
			held++
		}
	}
	if held < 85 {
		t.Errorf("the interval held the truth %d times in 100", held)
	}
}
