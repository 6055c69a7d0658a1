// Command sluice-enc is the external node classifier that puppetserver starts:
//
//	sluice-enc [--state.dir=DIR] CERTNAME
//
// It answers from local files alone. Everything that needs more (accept, audit, explain, and the answer
// itself where the site has an ENC of its own to lay under) is in sluice-edge beside it, which
// this program turns into: linking it here would double the time of every lookup.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	dir := lookup.DefaultDir
	rest := args
	for len(rest) > 0 && strings.HasPrefix(rest[0], "--") {
		value, ok := strings.CutPrefix(rest[0], "--state.dir=")
		if !ok {
			return become(args) // flags of sluice-edge, --help and --version among them
		}
		dir, rest = value, rest[1:]
	}
	if len(rest) != 1 || isVerb(rest[0]) {
		return become(args)
	}
	e, err := lookup.Open(dir)
	if err != nil {
		return fail(rest[0], err)
	}
	if e.Upstream {
		return become([]string{"--config.file=" + e.ConfigFile, "--state.dir=" + dir, "answer", rest[0]})
	}
	track, err := e.Member(rest[0])
	if err != nil {
		return fail(rest[0], err)
	}
	answer, err := e.Answer(track, rest[0])
	if err != nil {
		return fail(rest[0], err)
	}
	if answer.Missing != "" {
		os.Stderr.WriteString("sluice-enc: " + rest[0] + ": environment " + answer.Missing + " is not on this puppetserver: baseline\n")
	}
	out, err := answer.YAML()
	if err != nil {
		return fail(rest[0], err)
	}
	if _, err := os.Stdout.Write(out); err != nil {
		return fail(rest[0], err)
	}
	return 0
}

func isVerb(arg string) bool {
	switch arg {
	case "accept", "audit", "explain", "answer", "status", "version", "help", "completion":
		return true
	}
	return false
}

// become replaces this process by sluice-edge from the same directory.
func become(args []string) int {
	self, err := os.Executable()
	if err != nil {
		return fail("", err)
	}
	edge := filepath.Join(filepath.Dir(self), "sluice-edge")
	err = syscall.Exec(edge, append([]string{edge}, args...), os.Environ())
	return fail("", errors.New(edge+": "+err.Error()))
}

func fail(certname string, err error) int {
	os.Stderr.WriteString("sluice-enc: " + strings.TrimPrefix(certname+": ", ": ") + err.Error() + "\n")
	return 1
}
