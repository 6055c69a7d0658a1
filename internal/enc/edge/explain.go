package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc"
)

// Explain writes what this edge answers for a node, and every reason for it, for a person.
func (e *Edge) Explain(ctx context.Context, w io.Writer, certname string) error {
	if err := e.explainState(w); err != nil {
		return err
	}
	u, answer, err := e.Answer(ctx, certname)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nnode %s\n", certname)
	switch {
	case e.Config.Upstream.Command == "":
		fmt.Fprintln(w, "  upstream: no site ENC is configured")
	case u.ExitCode != 0:
		fmt.Fprintf(w, "  upstream: failed with exit code %d; that is passed through\n", u.ExitCode)
	case u.Stale:
		fmt.Fprintf(w, "  upstream: no answer within %s; its last good answer is used\n", e.Config.Upstream.Timeout)
	default:
		fmt.Fprintf(w, "  upstream: %s answered\n", e.Config.Upstream.Command)
	}
	if answer.Track == "" {
		fmt.Fprintln(w, "  track: none; upstream's answer goes through byte for byte")
		return nil
	}
	fmt.Fprintf(w, "  track: %s\n", answer.Track)
	for _, r := range answer.Rollouts {
		fmt.Fprintf(w, "  rollout %s: %s: %s\n", r.Rollout, map[bool]string{true: "admitted", false: "not admitted"}[r.Admitted], r.Reason)
		fmt.Fprintf(w, "    position %s, limit %s%s%s\n", r.Position, r.Limit, from(" by stage ", r.Stage), from(", lowered by cap ", r.Cap))
	}
	if answer.Missing != "" {
		fmt.Fprintf(w, "  environment %s is not in %s on this puppetserver: the node gets baseline\n", answer.Missing, e.Config.EnvironmentPath)
	}
	fmt.Fprintf(w, "  environment: %s\n", answer.Environment)
	if len(answer.Parameters) > 0 {
		params, err := json.Marshal(answer.Parameters)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  parameters.sluice: %s\n", params)
	}
	return nil
}

// explainState says which document is in force here, what is wrong with the rendered one, and which stops act.
func (e *Edge) explainState(w io.Writer) error {
	s, err := e.Status()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "edge %s\n", s.Host)
	if !s.Ready {
		fmt.Fprintln(w, "  not ready: it never accepted a document and does not know the baseline")
	} else {
		fmt.Fprintf(w, "  document: generation %d of epoch %s, looked at %s\n", s.Generation, s.Epoch, s.At.Format(time.RFC3339))
	}
	list := func(what string, lines ...string) {
		for _, l := range lines {
			if l != "" {
				fmt.Fprintf(w, "  %s: %s\n", what, l)
			}
		}
	}
	list("refused", s.Refused)
	list("waits", s.Clamped...)
	list("unreadable", s.Loud...)
	list("local file", s.Local...)
	if s.Stops.Frozen() {
		fmt.Fprintf(w, "  stop: everything is frozen (%s)\n", s.Stops.Freeze.Value)
	}
	for _, name := range enc.SortedKeys(s.Stops.Pause) {
		fmt.Fprintf(w, "  stop: %s is paused (%s)\n", name, s.Stops.Pause[name].Value)
	}
	for _, name := range enc.SortedKeys(s.Stops.BackOut) {
		fmt.Fprintf(w, "  stop: %s is backed out, since generation %d\n", name, s.Stops.BackOut[name].Generation)
	}
	for _, env := range enc.SortedKeys(s.Code) {
		fmt.Fprintf(w, "  code of %s: %s\n", env, s.Code[env])
	}
	return nil
}

// Status reads the status that the last accept left.
func (e *Edge) Status() (Status, error) {
	var s Status
	path := filepath.Join(e.Config.StateDir, statusFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("accept has not run here yet: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func from(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}
