package schedule

import (
	"fmt"
	"strings"
	"time"
)

// Warning is something that a schedule may do and that is seldom meant.
type Warning struct {
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
}

// hourly is the edges' default speed limit as a share of the fleet.
const hourly = 10 * Hundred / 100

// Lint returns what is doubtful about a valid, expanded schedule, whatever the
// fleet. Windows that never open after now are among it.
func (s Schedule) Lint(path string, windows map[string]Window, now time.Time) []Warning {
	var out []Warning
	add := func(i int, format string, args ...any) {
		out = append(out, Warning{s.at(path, i), fmt.Sprintf("stage %s: ", s.Stages[i].Name) + fmt.Sprintf(format, args...)})
	}
	for i, stage := range s.Stages {
		if never := (Calendar{Windows: windows}).never(stage, now); never != "" {
			add(i, "%s", never)
		}
		if i > 0 {
			if weaker := weaker(s.Stages[i-1], stage); len(weaker) > 0 {
				add(i, "%s", strings.Join(weaker, "; "))
			}
		}
		last := i == len(s.Stages)-1
		if i > 0 && !last && s.HoldbackFor(0) == 0 && stage.Nodes == 0 && stage.Percent == Hundred && stage.Segment != "" {
			add(i, "takes all of segment %s: no control is left in it, so the pass can only be clean", stage.Segment)
		}
		if !last && s.HoldbackFor(0) == 0 && stage.Nodes == 0 && stage.Percent == Hundred && stage.Segment == "" {
			add(i, "takes everyone with no holdback: no control is left, here and in every stage after it, which add nobody")
		}
		if last && s.Holdback == nil && stage.Pass == PassCertified {
			add(i, "asks for a certified pass with no holdback of its own: a fleet of fewer than 5,000 nodes has no control left, so it does not end there")
		}
	}
	if n := len(s.Stages); n > 0 {
		if last := s.Stages[n-1]; last.Segment != "" || last.Nodes > 0 || last.Percent < Hundred {
			add(n-1, "the last stage must admit everyone (no segment, 100%%): a rollout with this schedule is refused")
		}
	}
	return out
}

// LintPace returns the stages of everyone that are larger than what the edges let through in an hour by default. How large
// one is that follows segments other than the first stage's is not known without the fleet.
func (s Schedule) LintPace(path string) []Warning {
	var out []Warning
	for i, stage := range s.Stages {
		if i > 0 && stage.Segment != "" {
			break
		}
		if step := stage.Percent - min(stage.Percent, s.before(i)); stage.Segment == "" && step > hourly {
			hours := (uint64(step) + uint64(hourly) - 1) / uint64(hourly)
			out = append(out, Warning{s.at(path, i), fmt.Sprintf("stage %s: adds %s of the fleet, more than the %s an hour that edges let through by default: it takes about %d hours",
				stage.Name, step, hourly, hours)})
		}
	}
	return out
}

// before is the largest share of everyone that an earlier stage has.
func (s Schedule) before(i int) Percent {
	var most Percent
	for _, stage := range s.Stages[:i] {
		if stage.Segment == "" && stage.Nodes == 0 {
			most = max(most, stage.Percent)
		}
	}
	return most
}

// weaker names what a later stage asks less of than the one before it.
func weaker(before, stage Stage) []string {
	var out []string
	if stage.Bake.Time < before.Bake.Time {
		out = append(out, fmt.Sprintf("bakes for %s, less than the %s of stage %s", stage.Bake.Time, before.Bake.Time, before.Name))
	}
	if stage.Bake.Runs < before.Bake.Runs {
		out = append(out, fmt.Sprintf("needs %d runs, less than the %d of stage %s", stage.Bake.Runs, before.Bake.Runs, before.Name))
	}
	if before.Pass == PassCertified && stage.Pass != PassCertified {
		out = append(out, fmt.Sprintf("needs a clean pass, stage %s a certified one", before.Name))
	}
	if stage.Coverage != nil && before.Coverage != nil && *stage.Coverage < *before.Coverage {
		out = append(out, fmt.Sprintf("needs a coverage of %s, less than the %s of stage %s", *stage.Coverage, *before.Coverage, before.Name))
	}
	return out
}

// never says why a stage could not begin at any time from now on, freezes apart.
func (c Calendar) never(s Stage, now time.Time) string {
	o, err := s.Open(c.Windows, now)
	switch {
	case err != nil:
		return err.Error()
	case !o.Open && o.Next.IsZero():
		return fmt.Sprintf("its windows %v do not open within %d years", s.Windows, horizonYears)
	}
	return ""
}

// NeverOpens names the stages whose windows do not open after now.
func (s Schedule) NeverOpens(path string, windows map[string]Window, now time.Time) error {
	var f fields
	for i, stage := range s.Stages {
		if never := (Calendar{Windows: windows}).never(stage, now); never != "" {
			f.add(s.at(path, i)+".windows", "stage %s: %s", stage.Name, never)
		}
	}
	return f.err()
}
