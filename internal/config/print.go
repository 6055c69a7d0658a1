package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// String gives the whole configuration, defaults included, as YAML. Paths of
// webhook URLs are masked; other secrets are not in it.
func (c Config) String() string {
	hooks := make([]Webhook, len(c.Webhooks))
	for i, hook := range c.Webhooks {
		hooks[i] = hook
		hooks[i].URL = maskURL(hook.URL)
	}
	c.Webhooks = hooks
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Sprintf("configuration cannot be printed: %v", err)
	}
	return string(text)
}

// Summary lists what was found, one kind a line, for `sluice check config`.
func (c Config) Summary() string {
	stages, slis := 0, 0
	for _, s := range c.Schedules {
		stages += len(s.Stages)
	}
	for _, p := range c.Policies {
		slis += len(p.SLIs)
	}
	var b strings.Builder
	found := func(kind string, names []string, more string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "  %s: %s%s\n", plural(len(names), kind), strings.Join(names, ", "), more)
		}
	}
	found("track", sortedKeys(c.Tracks), "")
	found("segment", sortedKeys(c.Segments), "")
	found("freeze", sortedKeys(c.Freezes), "")
	found("window", sortedKeys(c.Windows), "")
	found("schedule", sortedKeys(c.Schedules), fmt.Sprintf(" (%s)", plural(stages, "stage")))
	found("policy", sortedKeys(c.Policies), fmt.Sprintf(" (%s)", plural(slis, "SLI")))
	found("webhook", c.hookHosts(), "")
	return b.String()
}

// hookHosts names webhooks without what may be secret.
func (c Config) hookHosts() []string {
	hosts := make([]string, len(c.Webhooks))
	for i, hook := range c.Webhooks {
		hosts[i] = maskURL(hook.URL)
	}
	return hosts
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	default:
		return fmt.Sprintf("%d %ss", n, noun)
	}
}
