package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// MarshalJSON writes the one of the two that there is.
func (r *replayed) MarshalJSON() ([]byte, error) {
	if r.Placebo != nil {
		return json.Marshal(r.Placebo)
	}
	return json.Marshal(r.Outcome)
}

func (r *replayed) render(w io.Writer) {
	if r.Placebo != nil {
		r.renderPlacebo(w)
		return
	}
	o := r.Outcome
	fmt.Fprintf(w, "%s reports, %s canaries, %s controls; first admission %s\n", number(o.Reports), number(o.Canaries), number(o.Controls), o.Started.Format(time.RFC3339))
	for _, note := range []struct {
		n    int
		what string
	}{{o.Duplicates, "duplicate reports left out"}, {o.Undated, "reports without receive_time, counted when produced"},
		{o.Unassigned, "nodes reported and are in no cohort"}, {o.Unseen, "nodes of the assignments never reported"}} {
		if note.n > 0 {
			fmt.Fprintf(w, "%s %s\n", number(note.n), note.what)
		}
	}
	fmt.Fprintln(w)
	for _, l := range o.Changes {
		fmt.Fprintf(w, "+%-9s %-12s %s of %s admitted exposed: %s\n", l.At.Sub(o.Started).Round(time.Second), l.Result, number(l.Exposed), number(l.Admitted), safe(l.Reason))
		if len(l.Checks) > 0 {
			fmt.Fprintf(w, "%24s%s\n", "", safe(strings.Join(l.Checks, "; ")))
		}
	}
	verdict := o.Verdict.Result.String()
	if o.Verdict.Grade != "" {
		verdict += " (" + string(o.Verdict.Grade) + ")"
	}
	fmt.Fprintf(w, "\n%s after %s and %s looks, at %s; %s of %s admitted nodes were exposed by then\n%s\n", verdict, o.At.Sub(o.Started).Round(time.Second), number(o.Looks),
		o.At.Format(time.RFC3339), number(o.Exposed), number(o.Admitted), safe(o.Verdict.Reason))
}

func (r *replayed) renderPlacebo(w io.Writer) {
	p := r.Placebo
	fmt.Fprintf(w, "%s random cohorts of %.3g %% of %s nodes, none with a change: %s failed, %s passed, %s held\n", number(p.Trials), 100*p.Share, number(p.Nodes), number(p.Failed), number(p.Passed), number(p.Held))
	fmt.Fprintf(w, "false alarms here: %.2f %%, between %.2f and %.2f %% with 95 %% confidence; the policy allows %.2f %%\n", 100*p.Rate, 100*p.Low, 100*p.High, 100*p.Alpha)
	for _, a := range p.Alarms {
		fmt.Fprintf(w, "\n%s: began %s, failed after %s with %s exposed\n  %s\n", a.Salt, a.Started.Format(time.RFC3339), a.At.Sub(a.Started).Round(time.Second), number(a.Exposed), safe(a.Reason))
	}
}

// shareOf reads a percentage between 0 and 100.
func shareOf(text string) (float64, error) {
	part, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(part, 64)
	if !ok || err != nil || !(v > 0 && v < 100) {
		return 0, usage("replay: --share %q: expected more than 0%% and less than 100%%", text)
	}
	return v / 100, nil
}
