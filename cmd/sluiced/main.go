// Command sluiced is sluice's daemon.
package main

import (
	"context"
	"os"

	"github.com/openinfrastructure/sluice/internal/daemon"
)

func main() { os.Exit(daemon.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
