// Command demo plays a bad change and a good one on a simulated fleet: make demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/openinfrastructure/sluice/internal/demo"
)

// Programs that are to die with this one must be started by a thread that lives as long.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run()) }

func run() int {
	o := demo.Options{Stdout: os.Stdout, Stderr: os.Stderr}
	flag.StringVar(&o.Bin, "bin", "bin", "directory of sluice, sluiced and fleetsim")
	flag.StringVar(&o.Scenario, "scenario", "testdata/fleetsim/demo.yml", "scenario of the fleet")
	flag.IntVar(&o.Nodes, "nodes", 0, "size of the fleet (default: the scenario's)")
	flag.DurationVar(&o.Interval, "run-interval", 0, "time between two runs of an agent (default: the scenario's)")
	flag.StringVar(&o.Bad, "bad", "production_bad00001", "environment that has to be taken back")
	flag.StringVar(&o.Good, "good", "production_good0002", "environment that has to reach every node")
	flag.BoolVar(&o.Keep, "keep", false, "leave it running until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := demo.Run(ctx, o)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted; all of it is removed")
		return 130
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}
