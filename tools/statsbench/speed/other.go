package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// Both scripts read the directory they are started in, and print one line of JSON.
const scipyScript = `
import json, time
import numpy as np
from scipy.stats import mannwhitneyu
def timed(x, y):
    took = []
    for _ in range(10):
        start = time.process_time()
        p = mannwhitneyu(x, y, use_continuity=False, method="asymptotic", alternative="two-sided").pvalue
        took.append(time.process_time() - start)
    return sorted(took)[5], float(p)
a = timed(np.fromfile("x"), np.fromfile("y"))
b = timed(np.fromfile("bx", dtype=np.uint16), np.fromfile("by", dtype=np.uint16))
print(json.dumps({"Seconds": [a[0], b[0]], "P": [a[1], b[1]]}))
`

const rScript = `
timed <- function(x, y) {
  took <- numeric(10)
  for (i in 1:10) took[i] <- sum(system.time(p <- wilcox.test(x, y, exact = FALSE, correct = FALSE)$p.value)[c("user.self", "sys.self")])
  c(sort(took)[6], p)
}
real <- function(f) readBin(f, "double", 500000)
bins <- function(f) readBin(f, "integer", 500000, size = 2, signed = FALSE)
a <- timed(real("x"), real("y"))
b <- timed(bins("bx"), bins("by"))
cat(sprintf('{"Seconds": [%.6f, %.6f], "P": [%.17g, %.17g]}\n', a[1], b[1], a[2], b[2]))
`

// other runs a script of another program in the directory with the data.
func other(name, program, debian, script, dir string) (timed, error) {
	flag := map[string]string{"scipy": "-c", "R": "-e"}[name]
	path, err := exec.LookPath(program)
	if err != nil {
		return timed{}, fmt.Errorf("%s is not here, it is needed for the comparison: apt-get install %s", name, debian)
	}
	cmd := exec.Command(path, flag, script)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return timed{}, fmt.Errorf("%s: %w (from apt-get install %s?)\n%s", name, err, debian, exit.Stderr)
	} else if err != nil {
		return timed{}, fmt.Errorf("%s: %w", name, err)
	}
	var t timed
	if err := json.Unmarshal(out, &t); err != nil {
		return timed{}, fmt.Errorf("%s: %w: %s", name, err, out)
	}
	if !(t.Seconds[0] > 0 && t.Seconds[1] > 0) {
		return timed{}, fmt.Errorf("%s: no times in %s", name, out)
	}
	return t, nil
}
