package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/dir"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

// connection says where the store is; empty fields are taken from Consul's environment variables.
type connection struct {
	address, tokenFile, prefix string
	dir                        string // "" is Consul
	api                        string // URL of sluiced, "" is the store itself
	getenv                     func(string) string
	create                     bool // make the directory where it is missing
}

func openStore(c connection) (store.Store, error) {
	if c.api != "" {
		return openAPI(c.api, c.getenv)
	}
	if c.dir != "" {
		path, err := filepath.Abs(c.dir)
		if err != nil {
			return nil, err
		}
		return dir.Open(dir.Config{Path: path, Create: c.create})
	}
	return openConsul(c)
}

func openConsul(c connection) (store.Store, error) {
	client := api.DefaultConfig()
	if c.address != "" {
		client.Address = c.address
	}
	if c.tokenFile != "" {
		token, err := config.ReadToken(c.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--consul.token-file: %w", err)
		}
		client.Token, client.TokenFile = token, ""
	}
	return consul.New(consul.Config{Client: client, Prefix: c.prefix})
}

// connect opens the store; the caller closes it.
func (p *program) connect() (store.Store, func(), error) {
	if p.store.dir == "" && p.store.address == "" && p.store.api == "" {
		p.store.dir, p.store.api = p.getenv("SLUICE_STORE_DIR"), p.getenv(envAPI)
		if p.store.dir != "" && p.store.api != "" {
			return nil, nil, usage("SLUICE_STORE_DIR and %s: expected one of them", envAPI)
		}
	}
	if len(slices.DeleteFunc([]string{p.store.dir, p.store.address, p.store.api}, func(s string) bool { return s == "" })) > 1 {
		return nil, nil, usage("--store.dir, --consul.address and --api: expected one of them")
	}
	p.store.getenv = p.getenv
	s, err := p.open(p.store)
	if err != nil {
		return nil, nil, err
	}
	if c, ok := s.(interface{ Close() }); ok {
		return s, c.Close, nil
	}
	return s, func() {}, nil
}

// snapshot opens the store and reads everything.
func (p *program) snapshot(ctx context.Context) (*tree.Snapshot, store.Store, func(), error) {
	s, done, err := p.connect()
	if err != nil {
		return nil, nil, nil, err
	}
	snap, err := tree.Read(ctx, s)
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	return snap, s, done, nil
}

// who names the person for the audit: the store's word where it has one, else what the machine says, marked
// as such. A store that cannot answer does not keep anybody from stopping a rollout.
func (p *program) who(ctx context.Context, s store.Store, stderr io.Writer) string {
	who, err := s.Identity(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "sluice: who you are to the store is not known:", err)
	}
	if who != "" {
		return who
	}
	return p.user() + " (unverified)"
}

func userAtHost() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// completeRollouts offers the names of rollouts for the first argument.
func (p *program) completeRollouts(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	snap, _, done, err := p.snapshot(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer done()
	var out []string
	for _, name := range verb.Rollouts(snap) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
