package stack

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
)

// The components' jars, as Debian installs them.
const (
	puppetdbJar     = "/usr/share/puppetdb/puppetdb.jar"
	puppetserverJar = "/usr/share/puppetserver/puppetserver.jar"
)

//go:embed conf
var confFiles embed.FS

var confTemplates = template.Must(template.ParseFS(confFiles, "conf/*"))

// checkMachine says early, and in one sentence, what this machine lacks.
func checkMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("the real stack needs root: each daemon runs as its own user")
	}
	for _, path := range []string{puppetdbJar, puppetserverJar} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w (run: make tools)", err)
		}
	}
	for _, name := range []string{"puppet", "puppetserver", "prometheus", "psql", "java", "unshare"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (run: make tools)", err)
		}
	}
	return nil
}

// CacheDir is where tools/setup.sh keeps programs and the class cache: $SLUICE_CACHE, or sluice in ~/.cache.
func CacheDir() (string, error) {
	if dir := os.Getenv("SLUICE_CACHE"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(home, ".cache", "sluice"), nil
}

// makeRoot makes the directory and sees that all its parents let the daemons' users in.
func (s *Stack) makeRoot(dir string) error {
	if dir == "" {
		made, err := os.MkdirTemp("", "sluice-e2e-")
		if err != nil {
			return err
		}
		dir, s.own = made, true
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s: users puppet, puppetdb and postgres cannot enter it (mode %v)", parent, info.Mode())
		}
	}
	return nil
}

// InstallProgram copies a program into the stack's directory, where user puppet can run it, and returns the copy's path.
func (s *Stack) InstallProgram(path string) (string, error) {
	bin := filepath.Join(s.Dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	to := filepath.Join(bin, filepath.Base(path))
	return to, copyFile(path, to, 0o755)
}

// classPath puts the class cache, where there is one, before a component's jar. The cache is linked or copied below the
// root since the user's cache directory is closed to the daemons.
func (s *Stack) classPath(name, jar string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	from := filepath.Join(cache, "aot", name+".jar")
	if _, err := os.Stat(from); err != nil {
		return "", fmt.Errorf("the class cache: %w (run: make tools)", err)
	}
	to := filepath.Join(s.Dir, "aot-"+name+".jar")
	if err := os.Link(from, to); err != nil && !errors.Is(err, os.ErrExist) {
		if err := copyFile(from, to, 0o644); err != nil {
			return "", err
		}
	}
	return to + ":" + jar, nil
}

// copyFile replaces a file in one step, so that a running program can be exchanged.
func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close(), os.Chmod(to+".new", mode)); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// writeFile replaces a file in one step, so that no reader sees half of it.
func writeFile(path, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(content), mode); err != nil {
		return err
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// render writes a template of conf/ to a file.
func render(path, name string, data any) error {
	var b strings.Builder
	if err := confTemplates.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	return writeFile(path, b.String(), 0o644)
}

// credential looks up a system user. An empty name means: as we are.
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// giveTo makes a user the owner of a directory and all below it.
func giveTo(name, dir string) error {
	c, err := credential(name)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(c.Uid), int(c.Gid))
	})
}
