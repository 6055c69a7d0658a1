package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

var environmentName = regexp.MustCompile(`^\w+$`)

// DeployEnvironment puts an environment on this puppetserver as r10k would: the files (path below the environment →
// content, such as manifests/site.pp), a .r10k-deploy.json with the signature, and an environment.conf whose
// config_version prints that signature. What the environment had before is gone. The next catalog sees it.
func (p *Puppetserver) DeployEnvironment(name string, files map[string]string, signature string) error {
	if !environmentName.MatchString(name) {
		return fmt.Errorf("environment %q: want letters, digits and underscores", name)
	}
	script, err := p.configVersion()
	if err != nil {
		return err
	}
	deployed, err := json.Marshal(map[string]any{
		"name": name, "signature": signature, "deploy_success": true, "finished_at": time.Now().UTC().Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	all := map[string]string{"environment.conf": "config_version = " + script + " $environment\n"}
	maps.Copy(all, files)
	all[".r10k-deploy.json"] = string(deployed) + "\n"

	staged, err := os.MkdirTemp(filepath.Dir(p.EnvironmentPath), "staged-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(staged) }()
	fresh := filepath.Join(staged, "new")
	for path, content := range all {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("environment %s: file %q is not below it", name, path)
		}
		if err := writeFile(filepath.Join(fresh, path), content, 0o644); err != nil {
			return err
		}
	}
	if err := giveTo("puppet", staged); err != nil {
		return err
	}
	return exchange(filepath.Join(p.EnvironmentPath, name), fresh, filepath.Join(staged, "old"))
}

// exchange moves a directory to its place, and what was there out of the way.
func exchange(place, fresh, old string) error {
	if err := os.Rename(place, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, place)
}

// RemoveEnvironment takes an environment off this puppetserver.
func (p *Puppetserver) RemoveEnvironment(name string) error {
	if !environmentName.MatchString(name) {
		return fmt.Errorf("environment %q: want letters, digits and underscores", name)
	}
	return os.RemoveAll(filepath.Join(p.EnvironmentPath, name))
}

// configVersion makes the script that all environments of this puppetserver name as their config_version.
func (p *Puppetserver) configVersion() (string, error) {
	if err := os.MkdirAll(p.EnvironmentPath, 0o755); err != nil {
		return "", err
	}
	script := filepath.Join(p.Dir, "code", "config-version.sh")
	if _, err := os.Stat(script); err == nil {
		return script, nil
	}
	if err := render(script, "config-version.sh", p.EnvironmentPath); err != nil {
		return "", err
	}
	return script, os.Chmod(script, 0o755)
}
