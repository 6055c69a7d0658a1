package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

// Upstreamed is what the site's own ENC said.
type Upstreamed struct {
	Out      []byte
	Err      []byte
	ExitCode int
	Stale    bool // it did not answer in time: this is its last good answer
	// Environment is the one that it named, "" where it named none; Answer sets it.
	Environment string
}

// askUpstream runs the site's ENC. Where it does not answer in time its last good answer for the node is
// used; a failure of its own is passed through as it is.
func (e *Edge) askUpstream(ctx context.Context, certname string) (Upstreamed, error) {
	argv := append(strings.Fields(e.Config.Upstream.Command), certname)
	ctx, cancel := context.WithTimeout(ctx, e.Config.Upstream.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	u := Upstreamed{Out: out.Bytes(), Err: errOut.Bytes()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		last, readErr := os.ReadFile(e.lastGood(certname))
		if readErr != nil {
			return u, fmt.Errorf("the site's ENC did not answer within %s, and there is no earlier answer", e.Config.Upstream.Timeout)
		}
		return Upstreamed{Out: last, Stale: true}, nil
	case errors.As(err, &exit):
		u.ExitCode = exit.ExitCode()
		return u, nil
	case err != nil:
		return u, fmt.Errorf("the site's ENC: %w", err)
	}
	e.keep(certname, u.Out)
	return u, nil
}

func (e *Edge) lastGood(certname string) string {
	return filepath.Join(e.Config.StateDir, "upstream", strings.ReplaceAll(certname, "/", "_"))
}

// keep remembers the answer; puppetserver's user may not be allowed to, which only loses the fallback.
func (e *Edge) keep(certname string, answer []byte) {
	path := e.lastGood(certname)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, answer) {
		return
	}
	if os.MkdirAll(filepath.Dir(path), 0o750) == nil {
		_ = renameio.WriteFile(path, answer, 0o640)
	}
}

// Answer is the whole ENC where the site has one: its bytes, unless sluice has something to say.
func (e *Edge) Answer(ctx context.Context, certname string) (Upstreamed, lookup.Answer, error) {
	state, err := lookup.Open(e.Config.StateDir)
	if err != nil {
		return Upstreamed{}, lookup.Answer{}, err
	}
	var u Upstreamed
	if e.Config.Upstream.Command != "" {
		if u, err = e.askUpstream(ctx, certname); err != nil || u.ExitCode != 0 {
			return u, lookup.Answer{}, err
		}
	}
	doc, root, err := parseAnswer(u.Out)
	if err != nil {
		// Not for us to judge: puppetserver gets it and says what it says without sluice.
		return u, lookup.Answer{}, nil
	}
	if root == nil && e.Config.Upstream.Command != "" {
		return u, lookup.Answer{}, nil // upstream does not know the node: neither do we
	}
	if v := child(root, "environment"); v != nil && v.Tag != "!!null" {
		u.Environment = v.Value
	}
	track, err := trackOf(state, u.Environment, certname)
	if err != nil || track == "" {
		return u, lookup.Answer{}, err
	}
	answer, err := state.Answer(track, certname)
	if err != nil {
		return u, answer, err
	}
	if root == nil {
		u.Out, err = answer.YAML()
		return u, answer, err
	}
	changed, err := lay(root, answer)
	if err == nil && changed {
		u.Out, err = encode(doc)
	}
	return u, answer, err
}

// trackOf finds the node's track: the one that upstream's environment names, or, where upstream names none,
// the one whose published set has the node.
func trackOf(state *lookup.Edge, environment, certname string) (string, error) {
	if environment != "" {
		if state.Document.Track(environment) != nil {
			return environment, nil
		}
		return "", nil
	}
	return state.Member(certname)
}

// parseAnswer reads an ENC's answer into a tree; root is nil where there is no answer at all.
func parseAnswer(out []byte) (doc, root *yaml.Node, err error) {
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, nil, nil
	}
	doc = &yaml.Node{}
	if err := yaml.Unmarshal(out, doc); err != nil {
		return nil, nil, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, errors.New("not a hash")
	}
	return doc, doc.Content[0], nil
}

// lay sets environment and parameters.sluice in upstream's tree, and says whether that changed it.
func lay(root *yaml.Node, a lookup.Answer) (bool, error) {
	changed := false
	if v := child(root, "environment"); v == nil || v.Value != a.Environment {
		set(root, "environment", scalar(a.Environment))
		changed = true
	}
	if len(a.Parameters) == 0 {
		return changed, nil
	}
	data, err := json.Marshal(a.Parameters)
	if err != nil {
		return false, err
	}
	var value yaml.Node
	if err := yaml.Unmarshal(data, &value); err != nil {
		return false, err
	}
	params := child(root, "parameters")
	if params == nil || params.Kind != yaml.MappingNode {
		params = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(root, "parameters", params)
	}
	set(params, "sluice", value.Content[0])
	return true, nil
}

func encode(doc *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("---\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func child(m *yaml.Node, key string) *yaml.Node {
	if m == nil {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if name(m.Content[i]) == key {
			v := m.Content[i+1]
			if v.Kind == yaml.AliasNode {
				return v.Alias
			}
			return v
		}
	}
	return nil
}

// name is a key as Puppet reads it: symbols (":environment") are allowed in an ENC's answer.
func name(n *yaml.Node) string { return strings.TrimPrefix(n.Value, ":") }

func set(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if name(m.Content[i]) == key {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, scalar(key), value)
}
