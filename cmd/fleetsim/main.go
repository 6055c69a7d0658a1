// Command fleetsim is a simulated fleet of Puppet agents.
package main

import (
	"context"
	"os"

	"github.com/openinfrastructure/sluice/internal/fleetsim"
)

func main() { os.Exit(fleetsim.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
