// Package words spells times, durations, counts and names for people, alike in the command line, the API and the audit.
// Everything in it is pure.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// UTC is an instant as people read it: 2026-11-02 08:00:00 UTC.
func UTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Age writes a duration with its two largest units, the way people say it.
func Age(d time.Duration) string {
	switch s := int64(d / time.Second); {
	case s < 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return pair(s/60, "m", s%60, "s", s < 600)
	case s < 86400:
		return pair(s/3600, "h", s%3600/60, "m", true)
	default:
		return pair(s/86400, "d", s%86400/3600, "h", s < 10*86400)
	}
}

func pair(n int64, unit string, m int64, smaller string, both bool) string {
	if m == 0 || !both {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s%d%s", n, unit, m, smaller)
}

// Number groups the digits of five and more: 25 002.
func Number(n int) string {
	s := strconv.Itoa(n)
	if n < 10_000 {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Count is a number of things: 1 node, 25 002 nodes.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// Some joins the first few names.
func Some(names []string, total int) string {
	const most = 5
	shown := names[:min(len(names), most)]
	text := strings.Join(shown, ", ")
	if more := total - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Safe takes control characters out of what others wrote: it must not move the cursor.
func Safe(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// OneLine makes one line of a text: a flag's value is one.
func OneLine(s string) string { return strings.Join(strings.Fields(Safe(s)), " ") }

// OrUnknown is "?" for nothing.
func OrUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}
