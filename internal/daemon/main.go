package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/common/version"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// Main is sluiced's command line; it returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o Options
	var level, format string
	c := &cobra.Command{
		Use: "sluiced", Short: "Roll Puppet changes out a little at a time, and take them back",
		Long: `sluiced reads reports and nodes from PuppetDB, decides which rollout goes on, and publishes through Consul what the
puppetservers obey. Several may run: one leads, the others wait.

SIGHUP and POST /-/reload read the configuration again; a bad one keeps the old one in force.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true, Version: version.Print("sluiced"),
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLog(stderr, level, format)
			if err != nil {
				return err
			}
			o.Log = log
			return serve(c.Context(), o)
		},
	}
	c.SetVersionTemplate("{{.Version}}\n")
	f := c.Flags()
	f.StringVar(&o.ConfigFile, "config.file", "/etc/sluice/sluiced.yml", "configuration file")
	f.StringSliceVar(&o.ListenAddress, "web.listen-address", nil, "address to listen on; may be given more than once (default: the configuration's)")
	f.StringVar(&o.WebConfigFile, "web.config.file", "", "file that enables TLS or authentication (Prometheus exporter-toolkit)")
	f.BoolVar(&o.AdminAPI, "web.enable-admin-api", false, "let the API carry out verbs (pause, backout, start, ...) for whom the guard of writes admits")
	f.StringVar(&level, "log.level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log.format", "text", "text or json")
	c.SetArgs(args)
	c.SetOut(stdout)
	c.SetErr(stderr)
	if err := c.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "sluiced:", err)
		return 1
	}
	return 0
}

func newLog(w io.Writer, level, format string) (zerolog.Logger, error) {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	l, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), fmt.Errorf("--log.level: %q, expected debug, info, warn or error", level)
	}
	switch format {
	case "json":
	case "text":
		w = zerolog.ConsoleWriter{Out: w, NoColor: true, TimeFormat: "2006-01-02T15:04:05.000Z07:00"}
	default:
		return zerolog.Nop(), fmt.Errorf("--log.format: %q, expected text or json", format)
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// serve runs a daemon until it is told to end.
func serve(ctx context.Context, o Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	boundMemory(ctx)
	d, err := New(o)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				if err := d.Reload(); err != nil {
					o.Log.Error().Err(err).Msg("the configuration is not in order: the old one stays in force")
				}
			}
		}
	}()
	o.Log.Info().Str("address", d.Addr()).Str("version", version.Info()).Msg("sluiced is serving")
	return d.Run(ctx)
}
