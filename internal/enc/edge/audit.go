package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

// Difference is a node that gets another environment or other parameters through sluice than without it.
type Difference struct {
	Certname string `json:"certname"`
	Without  string `json:"without"` // environment without sluice
	With     string `json:"with"`    // environment with sluice
	Why      string `json:"why"`
}

// Audit asks the site's ENC and sluice about every node (lines "CERTNAME" or "CERTNAME,LAST_ENVIRONMENT",
// the environment of its last report) and lists those whose answers differ. On the day sluice is
// installed the list must be empty. A node whose answer cannot be had is a difference too.
func (e *Edge) Audit(ctx context.Context, nodes io.Reader, found func(Difference)) (asked int, err error) {
	lines := bufio.NewScanner(nodes)
	for lines.Scan() {
		certname, last, _ := strings.Cut(strings.TrimSpace(lines.Text()), ",")
		if certname == "" || certname == "certname" {
			continue
		}
		asked++
		if d := e.compare(ctx, certname, strings.TrimSpace(last)); d != nil {
			found(*d)
		}
		if ctx.Err() != nil {
			return asked, ctx.Err()
		}
	}
	return asked, lines.Err()
}

func (e *Edge) compare(ctx context.Context, certname, last string) *Difference {
	u, answer, err := e.Answer(ctx, certname)
	if err != nil {
		return &Difference{Certname: certname, Without: "?", With: "?", Why: err.Error()}
	}
	if u.ExitCode != 0 || answer.Track == "" {
		return nil // upstream's answer goes through byte for byte
	}
	without := last
	if e.Config.Upstream.Command != "" {
		plain, err := e.askUpstream(ctx, certname)
		if err != nil {
			return &Difference{Certname: certname, Without: "?", With: answer.Environment, Why: err.Error()}
		}
		if _, root, err := parseAnswer(plain.Out); err == nil {
			if v := child(root, "environment"); v != nil && v.Value != "" {
				without = v.Value
			}
		}
	}
	d := &Difference{Certname: certname, Without: without, With: answer.Environment}
	switch {
	case without == "":
		d.Without, d.Why = "unknown", "upstream names no environment, and no last reported one was given (CERTNAME,ENVIRONMENT)"
	case without != answer.Environment:
		d.Why = reason(answer)
	case len(answer.Parameters) > 0:
		d.Why = "parameters.sluice is set"
	default:
		return nil
	}
	return d
}

func reason(a lookup.Answer) string {
	for _, r := range a.Rollouts {
		if r.Admitted {
			return fmt.Sprintf("rollout %s: %s", r.Rollout, r.Reason)
		}
	}
	return "baseline of track " + a.Track
}
