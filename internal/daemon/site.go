package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/internal/notify"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/dir"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// OpenStore connects to the store that the configuration names.
func OpenStore(c *config.Config) (store.Store, error) {
	if c.Store.Dir != "" {
		return dir.Open(dir.Config{Path: c.Store.Dir, Exclusive: "sluiced " + hostname()})
	}
	return openConsul(c, "token_file", c.Store.Consul.TokenFile)
}

// openDesk connects with the token that the API writes with, nil where it has none of its own.
func openDesk(c *config.Config) (store.Store, error) {
	if c.Store.Dir != "" || c.Store.Consul.APITokenFile == "" {
		return nil, nil
	}
	return openConsul(c, "api_token_file", c.Store.Consul.APITokenFile)
}

func openConsul(c *config.Config, key, tokenFile string) (store.Store, error) {
	client := api.DefaultConfig()
	if c.Store.Consul.Address != "" {
		client.Address = c.Store.Consul.Address
	}
	if tokenFile != "" {
		token, err := config.ReadToken(tokenFile)
		if err != nil {
			return nil, fmt.Errorf("store.consul.%s: %w", key, err)
		}
		client.Token, client.TokenFile = token, ""
	}
	return consul.New(consul.Config{Client: client, Prefix: c.Store.Consul.Prefix})
}

// site holds the clients that one configuration asks for; a reload makes a new one.
type site struct {
	cfg   *config.Config
	pdb   *puppetdb.Client
	prom  *sli.Client
	queue *notify.Queue
	users sync.WaitGroup // who leads with it
}

func newSite(cfg *config.Config, reg prometheus.Registerer, log zerolog.Logger) (*site, error) {
	s := &site{cfg: cfg}
	var err error
	if s.pdb, err = intake.Client(cfg); err != nil {
		return nil, err
	}
	if cfg.Prometheus != nil {
		if s.prom, err = sli.New(cfg.Prometheus.URL, nil); err != nil {
			return nil, fmt.Errorf("prometheus: %w", err)
		}
	}
	notifiers, err := newNotifiers(cfg)
	if err != nil {
		return nil, err
	}
	o := notify.DefaultOptions
	o.Registerer, o.Log = reg, log
	if s.queue, err = notify.NewQueue(o, notifiers...); err != nil {
		return nil, err
	}
	return s, nil
}

func newNotifiers(cfg *config.Config) ([]notify.Notifier, error) {
	var out []notify.Notifier
	if g := cfg.Grafana; g != nil {
		n, err := notify.NewGrafana(notify.GrafanaOptions{URL: g.URL, TokenFile: g.TokenFile, DashboardUID: g.DashboardUID})
		if err != nil {
			return nil, fmt.Errorf("grafana: %w", err)
		}
		out = append(out, n)
	}
	for i, w := range cfg.Webhooks {
		n, err := notify.NewWebhook(notify.WebhookOptions{Name: fmt.Sprintf("webhook-%d", i), URL: w.URL, TokenFile: w.TokenFile})
		if err != nil {
			return nil, fmt.Errorf("webhooks[%d]: %w", i, err)
		}
		out = append(out, bounded{n, time.Duration(w.Timeout)})
	}
	return out, nil
}

// bounded gives a notifier less time for one attempt than the queue does.
type bounded struct {
	notify.Notifier
	timeout time.Duration
}

func (b bounded) Notify(ctx context.Context, e notify.Event) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.Notifier.Notify(ctx, e)
}

// release waits until nobody leads with the site any more, or ctx ends. It is called after the site was replaced.
func (s *site) release(ctx context.Context) {
	free := make(chan struct{})
	go func() {
		s.users.Wait()
		close(free)
	}()
	select {
	case <-free:
	case <-ctx.Done():
	}
}

func (s *site) close(ctx context.Context) {
	s.pdb.Close()
	if s.prom != nil {
		s.prom.Close()
	}
	_ = s.queue.Close(ctx)
}

// freeze turns a request to start into the rollout that it asks for: schedule, policy, segments and windows as the
// configuration has them now.
func freeze(cfg *config.Config, name string, r tree.Request, baseline string, now time.Time) (gate.Spec, error) {
	start := r.Start
	if start == nil {
		return gate.Spec{}, errors.New("the request says nothing to start")
	}
	spec := gate.Spec{Name: name, Track: start.Track, Candidate: start.Environment, Baseline: baseline, Parameters: start.Parameters,
		Change: start.Change, Reverts: start.Reverts, Salt: name, By: r.By, Reason: r.Reason, Created: now, Segments: map[string]gate.Segment{}}
	sched, ok := cfg.Schedules[start.Schedule]
	if !ok {
		return spec, fmt.Errorf("schedule %q is not in the configuration", start.Schedule)
	}
	policy, ok := cfg.Policies[start.Policy]
	if !ok {
		return spec, fmt.Errorf("policy %q is not in the configuration", start.Policy)
	}
	spec.Schedule, spec.Policy = sched, policy
	spec.Segments, spec.Windows, spec.Policies = cfg.SegmentsOf(sched), cfg.WindowsOf(sched), cfg.PoliciesOf(sched)
	return spec, errors.Join(spec.Validate(), sched.NeverOpens("schedule", spec.Windows, now))
}

func hostname() string {
	if h, err := os.Hostname(); err == nil && h != "" {
		return fmt.Sprintf("%s:%d", strings.ToLower(h), os.Getpid())
	}
	return fmt.Sprintf("sluiced:%d", os.Getpid())
}
