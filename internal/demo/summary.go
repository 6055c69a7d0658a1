package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// most is how many nodes may have run the bad change: the nodes of the first stage.
const most = 10

// problems lists what is not as it should be; none means that it went right.
func (o *outcome) problems() []string {
	var out []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	bad, good := &o.Bad, &o.Good
	check(bad.Phase == "backed_out" && bad.Exit == 4, "%s is %s (exit code %d), expected it to be backed out (4)", bad.Environment, bad.Phase, bad.Exit)
	check(len(bad.By) == 1 && bad.By[0] == "sluice", "%s was backed out by %q, expected sluice itself", bad.Environment, bad.By)
	check(bad.Ran > 0, "no node ran %s, so nothing was proved", bad.Environment)
	check(bad.Ran <= most, "%d nodes ran %s, expected %d at most", bad.Ran, bad.Environment, most)
	check(bad.Late == 0, "%d runs of %s began after it was taken back", bad.Late, bad.Environment)
	check(bad.Culprit != nil && bad.Culprit.Resource != "", "the culprit of %s is not named", bad.Environment)
	check(good.Phase == "completed" && good.Exit == 0, "%s is %s (exit code %d), expected it to be completed (0)", good.Environment, good.Phase, good.Exit)
	check(o.Baseline == good.Environment, "the baseline of the track is %s, expected %s", o.Baseline, good.Environment)
	check(o.Nodes > 0 && o.On[good.Environment] == o.Nodes && len(o.On) == 1, "the nodes are on %v, expected all %d on %s", o.On, o.Nodes, good.Environment)
	return out
}

// write is the summary for people.
func (o *outcome) write(w io.Writer) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "  %-11s%s\n", label, fmt.Sprintf(format, args...))
	}
	bad, good := &o.Bad, &o.Good
	fmt.Fprintf(w, "\nThe bad change, %s: %s\n", bad.Environment, strings.ReplaceAll(bad.Phase, "_", " "))
	line("exposed", "%s of %s nodes (at most %d may be)", count(bad.Ran), count(o.Nodes), most)
	line("spared", "%s nodes", count(o.Nodes-bad.Ran))
	why, _, _ := strings.Cut(bad.Why, "; most often ")
	line("why", "%s", why)
	line("culprit", "%s", bad.Culprit)
	line("time", "backed out %s after its start, %s after the first failed report", seconds(bad.Since.Sub(bad.Created)), seconds(bad.Since.Sub(bad.FirstFailed)))
	fmt.Fprintf(w, "\nThe good change, %s: %s\n", good.Environment, strings.ReplaceAll(good.Phase, "_", " "))
	for _, s := range good.Stages {
		switch {
		case s.Since.IsZero():
			line(s.Name, "not begun")
		case s.Passed.IsZero():
			line(s.Name, "%s nodes, not passed", count(s.Admitted))
		default:
			line(s.Name, "%s nodes, passed after %s", count(s.Admitted), seconds(s.Passed.Sub(s.Since)))
		}
	}
	line("baseline", "%s, on %s of %s nodes", o.Baseline, count(o.On[o.Baseline]), count(o.Nodes))
	line("time", "%s from its start to its end", seconds(good.Since.Sub(good.Created)))
	fmt.Fprintf(w, "\nAll of it took %s.\n", seconds(o.Took))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// count groups the digits of five and more, as sluice does.
func count(n int) string {
	text := fmt.Sprint(n)
	if n < 10_000 {
		return text
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}
