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
	"regexp"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Identities of code that are none. Gates know them by these words.
const (
	CodeMissing  = "missing"  // the environment is not here
	CodeUnpinned = "unpinned" // nothing tells one version of it from another
	CodeFailed   = "failed"   // the tool that deployed it says that it did not get through
)

// Code says how this edge tells one version of an environment's code from another.
type Code struct {
	// Identity is "signature" (default): what r10k or g10k left in the environment; or "content": a digest of the
	// files besides, which also sees an edit in place and a module that floats.
	Identity string `yaml:"identity"`
	// IDCommand is puppetserver's code-id-command: called with the environment's name, it prints the identity, which
	// then counts instead of the signature. Split on white space.
	IDCommand string `yaml:"id_command"`
}

// The two values of Code.Identity.
const (
	identitySignature = "signature"
	identityContent   = "content"
)

const idCommandTimeout = 10 * time.Second

func (c *Code) setDefaults() error {
	orDefault(&c.Identity, identitySignature)
	if c.Identity != identitySignature && c.Identity != identityContent {
		return fmt.Errorf("code.identity: %q, expected %s or %s", c.Identity, identitySignature, identityContent)
	}
	if cmd := strings.Fields(c.IDCommand); len(cmd) > 0 && !filepath.IsAbs(cmd[0]) {
		return fmt.Errorf("code.id_command: %q, expected an absolute path", cmd[0])
	}
	return nil
}

// codes is the identity of the code behind every environment that the documents name, and what went wrong about it.
func (e *Edge) codes(ctx context.Context, docs ...segments.Document) (map[string]string, []string) {
	codes, problems := map[string]string{}, []string{}
	digests := e.readDigests()
	note := func(environment string) {
		if _, known := codes[environment]; environment == "" || known {
			return
		}
		id, err := e.codeOf(ctx, environment, digests)
		if err != nil {
			problems = append(problems, fmt.Sprintf("code of %s: %v", environment, err))
		}
		codes[environment] = id
	}
	for _, d := range docs {
		for _, t := range d.Tracks {
			note(t.Baseline)
		}
		for _, r := range d.Rollouts {
			note(r.Candidate)
		}
	}
	e.keepDigests(digests, codes)
	return codes, problems
}

// codeOf is the identity of one environment here. With an error it is none of a version's.
func (e *Edge) codeOf(ctx context.Context, environment string, digests map[string]digest) (string, error) {
	dir := filepath.Join(e.Config.EnvironmentPath, environment)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return CodeMissing, nil
	}
	id, err := e.signatureOf(ctx, dir, environment)
	if err != nil || id == CodeFailed || e.Config.Code.Identity != identityContent {
		return id, err
	}
	d, err := digestOf(dir, digests[environment])
	if err != nil {
		return CodeUnpinned, err
	}
	digests[environment] = d
	if id == CodeUnpinned {
		// r10k leaves no file when it fails over a module: with a Puppetfile somebody has to say that all of it is there.
		if _, err := os.Stat(filepath.Join(dir, "Puppetfile")); !errors.Is(err, os.ErrNotExist) {
			return CodeUnpinned, errors.New("a Puppetfile and no signature: its modules may be missing")
		}
		return identityContent + ":" + d.Content, nil
	}
	return id + "+" + d.Content, nil
}

func (e *Edge) signatureOf(ctx context.Context, dir, environment string) (string, error) {
	if e.Config.Code.IDCommand != "" {
		return e.askCodeID(ctx, environment)
	}
	return signature(dir)
}

// codeID is what puppetserver takes for a code_id.
var codeID = regexp.MustCompile(`^[A-Za-z0-9_:;-]+$`)

func (e *Edge) askCodeID(ctx context.Context, environment string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, idCommandTimeout)
	defer cancel()
	argv := append(strings.Fields(e.Config.Code.IDCommand), environment)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return CodeUnpinned, fmt.Errorf("%s: %w", argv[0], err)
	}
	id := string(bytes.TrimSpace(out))
	if id == CodeMissing || id == CodeFailed || id == CodeUnpinned || !codeID.MatchString(id) {
		return CodeUnpinned, fmt.Errorf("%s: printed %.80q, expected letters, digits and _ : ; -", argv[0], id)
	}
	return id, nil
}

// signature reads what r10k and g10k leave in an environment. g10k writes its file before it has the modules, so a
// deployment that did not get through to its end has a signature too: deploy_success tells.
func signature(dir string) (string, error) {
	for _, name := range []string{".r10k-deploy.json", ".g10k-deploy.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var deploy struct {
			Signature string `json:"signature"`
			Success   *bool  `json:"deploy_success"`
		}
		if err == nil {
			err = json.Unmarshal(data, &deploy)
		}
		switch {
		case err != nil:
			return CodeUnpinned, fmt.Errorf("%s: %w", name, err)
		case deploy.Success != nil && !*deploy.Success:
			return CodeFailed, nil
		case deploy.Signature != "":
			return deploy.Signature, nil
		}
	}
	return CodeUnpinned, nil
}
