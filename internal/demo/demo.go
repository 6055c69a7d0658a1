// Package demo plays a bad change and a good one on a simulated fleet, with the real programs: sluiced, sluice and
// fleetsim as processes of their own, a store in a temporary directory, the edge's own code. Only the agents are
// simulated.
//
//	demo.go      the play
//	site.go      what a site without Consul has: configuration, programs, ports
//	process.go   programs that run beside, and their end
//	outcome.go   what happened, as PuppetDB and the store tell it
//	summary.go   whether that is what should have happened: pure
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Options say what is played.
type Options struct {
	Bin      string        // directory of the programs
	Scenario string        // file for fleetsim
	Nodes    int           // of the fleet; 0 is the scenario's
	Interval time.Duration // of the agents' runs; 0 is the scenario's
	Bad      string        // environment that has to be taken back
	Good     string        // environment that has to reach every node
	Keep     bool          // leave it running until ctx ends
	Stdout   *os.File
	Stderr   io.Writer
}

// limit is the longest time that a demo takes; the two rollouts share it.
const limit = 2 * time.Minute

// Run plays the demo until it ends or ctx does. An error says that it did not go right; nothing is left behind.
func Run(ctx context.Context, o Options) (err error) {
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return err
	}
	s, err := build(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	begin := time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has not ended within %s", limit))
	defer cancel()
	if err := s.start(bounded); err != nil {
		return s.explain(bounded, err)
	}
	var out outcome
	if out, err = s.play(bounded); err != nil {
		return s.explain(bounded, err)
	}
	out.Took = time.Since(begin)
	out.write(o.Stdout)
	if problems := out.problems(); len(problems) > 0 {
		err = &Failure{problems}
	}
	if o.Keep {
		if err != nil {
			fmt.Fprintln(o.Stderr, err)
		}
		s.leave(ctx)
	}
	return err
}

// Failure lists what did not go as it should.
type Failure struct{ Problems []string }

func (f *Failure) Error() string {
	text := "the demo did not go as it should:"
	for _, p := range f.Problems {
		text += "\n  - " + p
	}
	return text
}

// play rolls out the bad change, then the good one.
func (s *site) play(ctx context.Context) (outcome, error) {
	out := outcome{Nodes: s.nodes}
	s.say("1. A change that breaks nginx on every web server: %s", s.o.Bad)
	var err error
	if out.Bad, err = s.rollOut(ctx, s.o.Bad, "nginx: turn on HTTP/3"); err != nil {
		return out, err
	}
	s.say("2. The repaired change: %s", s.o.Good)
	if out.Good, err = s.rollOut(ctx, s.o.Good, "nginx: turn on HTTP/3, the right way"); err != nil {
		return out, err
	}
	return out, s.fleet(ctx, &out)
}

// rollOut starts a rollout, shows it until it ends and asks what became of it.
func (s *site) rollOut(ctx context.Context, environment, reason string) (course, error) {
	c := course{Environment: environment}
	args := []string{"start", "--environment", environment, "--schedule", "demo", "--reason", reason}
	s.typed(args...)
	if err := s.sluice(ctx, args...); err != nil {
		return c, err
	}
	s.typed("status", environment, "-w")
	c.Exit, c.Err = s.watch(ctx, environment)
	if c.Err != nil {
		return c, c.Err
	}
	return c, s.ask(ctx, &c)
}

// another environment of the scenario that does not go well.
const another = "production_bad00003"

// leave tells people what they may type, and waits for them to end it.
func (s *site) leave(ctx context.Context) {
	bin, tree := s.o.Bin, s.path("tree")
	fmt.Fprintf(s.o.Stdout, `
It goes on running. In another terminal:

  export SLUICE_STORE_DIR=%[2]s PATH=%[1]s:$PATH
  sluice list
  sluice why %[5]s
  sluice audit
  sluice start second --environment production_good0004 --schedule demo --reason "one more"
  sluice status -w
  sluice pause second --reason "a closer look"
  echo false > $SLUICE_STORE_DIR/flags/second/pause    # a flag is a file; or: sluice resume second --reason "seen enough"
  echo true > $SLUICE_STORE_DIR/flags/freeze           # stops everything; false ends it
  sluice start third --environment %[6]s --schedule demo --reason "let me see it stop"
  sluice start fourth --environment %[3]s --schedule demo --reason "once more"    # refused: it is vetoed

Configuration, logs and tree are in %[4]s. Ctrl-C ends it and removes them.
`, bin, tree, s.o.Bad, s.dir, s.someNode, another)
	<-ctx.Done()
}
