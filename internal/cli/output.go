package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is the value of -o.
type format string

func (f *format) flag(c *cobra.Command) {
	*f = "text"
	c.Flags().StringVarP((*string)(f), "output", "o", "text", "text, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f format) check() error {
	switch f {
	case "text", "json", "yaml":
		return nil
	}
	return usage("--output %q: expected text, json or yaml", string(f))
}

// write writes v as JSON or YAML, or what text writes.
func (f format) write(w io.Writer, v any, text func(io.Writer)) error {
	var b bytes.Buffer
	switch f {
	case "json":
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
	case "yaml":
		data, err := toYAML(v)
		if err != nil {
			return err
		}
		b.Write(data)
	default:
		text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// toYAML goes through JSON, so that both outputs have the same names in the same order.
func toYAML(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(escape(data), &doc); err != nil {
		return nil, fmt.Errorf("yaml: %w", err)
	}
	plain(&doc)
	return yaml.Marshal(&doc)
}

// escape writes characters that JSON may have bare, and YAML may not, as YAML's escapes. In JSON they can only be
// in strings.
func escape(data []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(data) {
		if r > unicode.MaxASCII && !unicode.IsPrint(r) || r == 0x7f {
			fmt.Fprintf(&b, `\U%08x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

// plain takes away the braces and quotes that JSON needs and YAML does not. Texts of more than one line, or with
// characters that cannot be seen, keep their quotes.
func plain(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if !strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		plain(child)
	}
}
