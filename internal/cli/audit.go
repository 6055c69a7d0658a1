package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// auditView is what audit shows.
type auditView struct {
	Verified bool              `json:"verified"`
	Problem  string            `json:"problem,omitempty"`
	Head     tree.AuditHead    `json:"head"`
	Entries  []tree.AuditEntry `json:"entries"` // oldest first
}

func (p *program) auditCommand() *cobra.Command {
	var out format
	var last int
	c := &cobra.Command{
		Use: "audit [NAME]", Short: "Show who did what and why, and check the chain", Args: args(cobra.MaximumNArgs(1)),
		Long: fmt.Sprintf(`audit shows the last decisions and the evidence they rest on. The store keeps %d entries, each with
the hash of the one before; the whole chain is in the leader's local file. A chain that was changed is exit 1.`, tree.AuditKept),
		Example: `  sluice audit
  sluice audit production_8f3c2d1a -n 5`,
		ValidArgsFunction: p.completeRollouts,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if last < 1 {
				return usage("audit: -n %d: expected 1 or more", last)
			}
			s, done, err := p.connect()
			if err != nil {
				return err
			}
			defer done()
			entries, _, err := s.List(c.Context(), "audit/") // head and entries at one instant
			if err != nil {
				return err
			}
			v := auditOf(entries)
			v.keep(strings.Join(args, ""), last)
			if err := out.write(c.OutOrStdout(), v, func(w io.Writer) { renderAudit(w, v) }); err != nil {
				return err
			}
			if !v.Verified {
				return fmt.Errorf("the audit cannot be trusted: %s", v.Problem)
			}
			return nil
		},
	}
	out.flag(c)
	c.Flags().IntVarP(&last, "number", "n", 20, "show that many entries, the last ones")
	return c
}

// auditOf reads and checks the chain below audit/. Whatever cannot be read is a problem.
func auditOf(kv []store.Entry) auditView {
	v := auditView{Entries: []tree.AuditEntry{}}
	headed := false
	problem := func(format string, args ...any) {
		if v.Problem == "" {
			v.Problem = fmt.Sprintf(format, args...)
		}
	}
	for _, e := range kv {
		switch e.Key {
		case tree.NotifiedKey:
		case tree.AuditHeadKey:
			if headed = true; json.Unmarshal(e.Value, &v.Head) != nil {
				problem("%s cannot be read", e.Key)
			}
		default:
			var entry tree.AuditEntry
			if err := json.Unmarshal(e.Value, &entry); err != nil {
				problem("%s cannot be read: %v", e.Key, err)
			} else if e.Key != tree.AuditKey(entry.Seq) {
				problem("%s holds entry %d", e.Key, entry.Seq)
			} else {
				v.Entries = append(v.Entries, entry)
			}
		}
	}
	slices.SortFunc(v.Entries, func(a, b tree.AuditEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := tree.VerifyAudit(v.Entries); err != nil {
		problem("%v", err)
	}
	switch n := len(v.Entries); {
	case !headed:
		problem("%s is missing", tree.AuditHeadKey)
	case n == 0 && v.Head.Seq > 0:
		problem("%s names entry %d, there is none", tree.AuditHeadKey, v.Head.Seq)
	case n > 0 && (v.Entries[n-1].Seq != v.Head.Seq || v.Entries[n-1].Hash != v.Head.Hash):
		problem("%s names entry %d, the last one is %d, or it has another hash", tree.AuditHeadKey, v.Head.Seq, v.Entries[n-1].Seq)
	}
	v.Verified = v.Problem == ""
	return v
}

// keep drops entries of other rollouts ("" = none), and all but the last n.
func (v *auditView) keep(rollout string, n int) {
	v.Entries = slices.DeleteFunc(v.Entries, func(e tree.AuditEntry) bool { return rollout != "" && e.Rollout != rollout })
	v.Entries = v.Entries[max(0, len(v.Entries)-n):]
}

func renderAudit(w io.Writer, v auditView) {
	rows := [][]cell{texts("SEQ", "TIME", "WHAT", "ROLLOUT", "STAGE", "BY", "WHY")}
	for _, e := range v.Entries {
		why := e.Text
		if e.Result != "" {
			why += " [" + e.Result + "]"
		}
		if e.Evidence != "" {
			why += " [evidence " + shorten(e.Evidence, 13) + "]"
		}
		rows = append(rows, texts(fmt.Sprint(e.Seq), utc(e.At), safe(e.Kind), dash(e.Rollout), dash(e.Stage), safe(e.By), safe(why)))
	}
	if len(v.Entries) == 0 {
		fmt.Fprintln(w, "no entry")
	} else {
		table(w, painter{}, rows)
	}
	if v.Verified {
		fmt.Fprintf(w, "the chain is whole up to entry %d\n", v.Head.Seq)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return safe(s)
}
