package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is PuppetDB's database.
type Postgres struct {
	Service
	// Port on 127.0.0.1. Users postgres and puppetdb (database puppetdb) need no password.
	Port int
	data string
}

func newPostgres(dir string, port int) *Postgres {
	p := &Postgres{Port: port, data: filepath.Join(dir, "data")}
	log := filepath.Join(dir, "postgres.log")
	p.Service = Service{
		name: "postgres", logs: []string{log}, stopWith: syscall.SIGINT,
		probe: func(ctx context.Context) error { return p.sql(ctx, "postgres", "select 1") },
		command: func() (command, error) {
			postgres, err := postgresProgram("postgres")
			// Killed, the server leaves its shared memory; SIGQUIT is its way to end at once.
			return command{argv: []string{postgres, "-D", p.data}, dir: p.data, user: "postgres", log: log, death: syscall.SIGQUIT}, err
		},
	}
	return p
}

// postgresProgram finds one of the server's programs, which Debian keeps off PATH, in the newest version.
func postgresProgram(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("/usr/lib/postgresql/*/bin/%s: not found (run: make tools)", name)
	}
	return found[len(found)-1], nil
}

// create initialises the cluster, starts it and makes PuppetDB's database.
func (p *Postgres) create(ctx context.Context) error {
	if err := os.MkdirAll(p.data, 0o755); err != nil { // initdb closes it, and leaves its parent open
		return err
	}
	if err := giveTo("postgres", p.data); err != nil {
		return err
	}
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return err
	}
	cred, err := credential("postgres")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, initdb, "-D", p.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = p.data
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb %s: %w: %s", p.data, err, out)
	}
	if err := render(filepath.Join(p.data, "postgresql.conf"), "postgresql.conf", p); err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	if err := p.sql(ctx, "postgres", "create role puppetdb login", "create database puppetdb owner puppetdb encoding 'UTF8'"); err != nil {
		return err
	}
	return p.sql(ctx, "puppetdb", "create extension if not exists pg_trgm")
}

// sql runs statements, each in a transaction of its own.
func (p *Postgres) sql(ctx context.Context, database string, statements ...string) error {
	argv := []string{"-qAt", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "-U", "postgres", "-d", database}
	for _, s := range statements {
		argv = append(argv, "-c", s)
	}
	if out, err := exec.CommandContext(ctx, "psql", argv...).CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// quit ends the server at once, but lets it free its shared memory; it is killed when that takes long.
func (p *Postgres) quit() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.proc.running() {
		return
	}
	p.proc.signal(syscall.SIGQUIT)
	select {
	case <-p.proc.done:
	case <-ctx.Done():
		p.proc.kill()
	}
}
