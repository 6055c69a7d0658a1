package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"
)

// program is one command line and what it must print.
type program struct {
	name   string
	argv   []string
	answer string
}

// measure runs every program once a round and returns the time from fork to exit, per program in order of
// rounds. A program that fails, or prints anything but its answer, is an error: its time would mean nothing.
func measure(ctx context.Context, all []program, rounds int, seed uint64) (map[string][]time.Duration, error) {
	for _, p := range all {
		if err := check(ctx, p); err != nil {
			return nil, err
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	samples := make(map[string][]time.Duration, len(all))
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// Shuffled, so that no program always runs behind the same one, in its warm or cold cache.
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			took, err := once(all[i], null)
			if err != nil {
				return nil, err
			}
			samples[all[i].name] = append(samples[all[i].name], took)
		}
	}
	return samples, nil
}

func check(ctx context.Context, p program) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Env, cmd.Stderr = []string{}, &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.name, err, stderr.Bytes())
	}
	if string(out) != p.answer {
		return fmt.Errorf("%s: printed %q, expected %q", p.name, out, p.answer)
	}
	return nil
}

// once measures without os/exec, whose pipes and goroutines would be measured as well.
func once(p program, null *os.File) (time.Duration, error) {
	files := []*os.File{null, null, os.Stderr}
	start := time.Now()
	process, err := os.StartProcess(p.argv[0], p.argv, &os.ProcAttr{Env: []string{}, Files: files})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	state, err := process.Wait()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	if !state.Success() {
		return 0, fmt.Errorf("%s: %s", p.name, state)
	}
	return took, nil
}
