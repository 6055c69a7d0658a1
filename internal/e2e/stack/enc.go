package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// DefaultNode names the answer of the site's ENC for every node that has none of its own.
const DefaultNode = "default"

// plainCommand keeps the ENC's command line to what means the same to a shell and to Puppet, which splits at blanks.
var plainCommand = regexp.MustCompile(`^/[\w./:=@,+-]+( [\w./:=@,+-]+)*$`)

// plainName is what may become a file name here: certnames and the like.
var plainName = regexp.MustCompile(`^\w[\w.-]*$`)

func (s *Stack) siteENCDir() string { return filepath.Join(s.Dir, "site-enc") }

// SiteENC is the command of the site's own ENC, the one that runs before sluice is installed.
func (s *Stack) SiteENC() string { return filepath.Join(s.Dir, "site-enc.sh") }

// makeSiteENC installs an ENC that puts every node on production until it is told otherwise.
func (s *Stack) makeSiteENC() error {
	if err := render(s.SiteENC(), "site-enc.sh", s.siteENCDir()); err != nil {
		return err
	}
	if err := os.Chmod(s.SiteENC(), 0o755); err != nil {
		return err
	}
	return s.SetSiteENC(DefaultNode, "---\nenvironment: production\nclasses: {}\n")
}

// SetSiteENC sets what the site's ENC answers for a node from now on, byte for byte.
func (s *Stack) SetSiteENC(certname, yaml string) error {
	if !plainName.MatchString(certname) {
		return fmt.Errorf("certname %q: want letters, digits, dots and dashes", certname)
	}
	path := filepath.Join(s.siteENCDir(), certname)
	if err := os.Remove(path + ".exit"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(path+".yaml", yaml, 0o644)
}

// FailSiteENC makes the site's ENC exit with a code, and no answer, for a node until SetSiteENC is called for it.
func (s *Stack) FailSiteENC(certname string, code int) error {
	if !plainName.MatchString(certname) {
		return fmt.Errorf("certname %q: want letters, digits, dots and dashes", certname)
	}
	return writeFile(filepath.Join(s.siteENCDir(), certname+".exit"), strconv.Itoa(code)+"\n", 0o644)
}

// SetExternalNodes exchanges the ENC of a puppetserver from its next catalog on, without a restart. The command is an
// absolute path and arguments without quotes; empty means the site's own ENC.
func (p *Puppetserver) SetExternalNodes(command string) error {
	if command == "" {
		command = p.stack.SiteENC()
	}
	if !plainCommand.MatchString(command) {
		return fmt.Errorf("external_nodes %q: want an absolute path and plain arguments", command)
	}
	// puppet.conf names this one file for good, as a change of puppet.conf would need a reload of several seconds.
	return writeFile(filepath.Join(p.Dir, "enc"), "#!/bin/sh\nexec "+command+" \"$@\"\n", 0o755)
}
