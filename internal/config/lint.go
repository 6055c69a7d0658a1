package config

import (
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/ical"
)

// Lint returns what is doubtful about a valid configuration: nothing of it keeps sluiced from starting. It reads the files
// of freezes.
func (c *Config) Lint(now time.Time) []schedule.Warning {
	var out []schedule.Warning
	for _, name := range sortedKeys(c.Freezes) {
		if f := c.freeze(name, now); f.Err != "" {
			out = append(out, schedule.Warning{Path: join("freezes", quoteKey(name)), Text: "cannot be read, so every rollout is held: " + f.Err})
		}
	}
	for _, name := range sortedKeys(c.Schedules) {
		path, s := join("schedules", quoteKey(name)), c.Schedules[name]
		out = append(append(out, s.Lint(path, c.Windows, now)...), s.LintPace(path)...)
	}
	return out
}

// How far around the present a freeze file is read.
const (
	FreezeBehind = 24 * time.Hour
	FreezeAhead  = 400 * 24 * time.Hour
)

// ReadFreezes reads all freezes around now. One whose file cannot be read says so, and holds.
func (c *Config) ReadFreezes(now time.Time) []schedule.Freeze {
	var out []schedule.Freeze
	for _, name := range sortedKeys(c.Freezes) {
		out = append(out, c.freeze(name, now))
	}
	return out
}

func (c *Config) freeze(name string, now time.Time) schedule.Freeze {
	return ReadFreeze(name, c.Freezes[name], now)
}

// ReadFreeze gives the times of one rule around now.
func ReadFreeze(name string, rule schedule.FreezeRule, now time.Time) schedule.Freeze {
	if rule.ICal == "" {
		return schedule.Freeze{Name: name, Spans: []schedule.Span{rule.Span()}}
	}
	freeze := schedule.Freeze{Name: name, Until: now.Add(FreezeAhead)}
	var err error
	if freeze.Spans, err = ical.File(rule.ICal, rule.Zone(), now.Add(-FreezeBehind), freeze.Until); err != nil {
		return schedule.Freeze{Name: name, Err: err.Error()}
	}
	return freeze
}
