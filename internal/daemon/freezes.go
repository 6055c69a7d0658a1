package daemon

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/config"
)

// freezes keeps what was read of iCal files until they change, or a day passes.
type freezes map[string]readFreeze

type readFreeze struct {
	rule   schedule.FreezeRule
	at     time.Time
	size   int64
	change time.Time
	freeze schedule.Freeze
}

// read gives the freezes of the site. A file that cannot be read, or that is gone, is a freeze without an end.
func (f *freezes) read(rules map[string]schedule.FreezeRule, now time.Time) []schedule.Freeze {
	if *f == nil {
		*f = freezes{}
	}
	var out []schedule.Freeze
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		rule := rules[name]
		if rule.ICal == "" {
			out = append(out, config.ReadFreeze(name, rule, now))
			continue
		}
		out = append(out, f.file(name, rule, now))
	}
	return out
}

func (f freezes) file(name string, rule schedule.FreezeRule, now time.Time) schedule.Freeze {
	info, err := os.Stat(rule.ICal)
	if err != nil {
		delete(f, name)
		return schedule.Freeze{Name: name, Err: err.Error()}
	}
	known, ok := f[name]
	age := now.Sub(known.at)
	if ok && known.rule == rule && known.size == info.Size() && known.change.Equal(info.ModTime()) && age >= 0 && age < config.FreezeBehind {
		return known.freeze
	}
	freeze := config.ReadFreeze(name, rule, now)
	if freeze.Err == "" {
		f[name] = readFreeze{rule, now, info.Size(), info.ModTime(), freeze}
	} else {
		delete(f, name)
	}
	return freeze
}
