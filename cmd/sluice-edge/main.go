// Command sluice-edge is what sluice-enc becomes for everything beyond a plain lookup. It is installed
// beside sluice-enc and not called by name.
package main

import (
	"context"
	"os"

	"github.com/openinfrastructure/sluice/internal/cli/edgecli"
)

func main() {
	os.Exit(edgecli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
