package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments/compose"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// trackName is what Puppet takes as an environment name.
var trackName = regexp.MustCompile(`\A[A-Za-z0-9_]+\z`)

func (v *validator) tracks() {
	if len(v.config.Tracks) == 0 {
		v.add("tracks", "expected at least one track, such as production: {}")
	}
	for _, name := range sortedKeys(v.config.Tracks) {
		if !trackName.MatchString(name) {
			v.add(join("tracks", quoteKey(name)), "expected a name of letters, digits and _, as Puppet environments have")
		}
	}
}

func (v *validator) name(section, name string) {
	if !schedule.ValidName(name) {
		v.add(join(section, quoteKey(name)), "expected a name that matches [a-z0-9][a-z0-9_-]* and has at most 63 characters")
	}
}

func (v *validator) segments() {
	for _, name := range sortedKeys(v.config.Segments) {
		v.name("segments", name)
		path := join("segments", quoteKey(name))
		segment := v.config.Segments[name]
		given := 0
		if template, made := v.made[name]; made {
			if segment.Selector != "" {
				v.selector(template, segment.Selector)
			}
			continue
		}
		for _, key := range []string{"selector", "pql", "certnames", "any_of", "all_of", "not"} {
			if v.given(join(path, key)) || key == "selector" && segment.Selector != "" {
				given++
			}
		}
		if given != 1 {
			v.add(path, "expected exactly one of selector, pql, certnames, any_of, all_of and not, got %d of them", given)
			continue
		}
		v.segment(path, segment)
	}
}

func (v *validator) segment(path string, s Segment) {
	switch {
	case v.given(path + ".pql"):
		if !pqlCertname.MatchString(s.PQL) {
			v.add(path+".pql", "expected a query for certname alone, such as nodes[certname]{ … }, got %q", s.PQL)
		}
	case v.given(path + ".certnames"):
		v.certnames(path+".certnames", s.Certnames)
	case s.Selector == "" && (v.given(path+".any_of") || v.given(path+".all_of") || v.given(path+".not")):
		v.references(path, s)
	default:
		if v.given(path + ".selector") {
			v.selector(path+".selector", s.Selector)
		} else {
			v.selector(path, s.Selector)
		}
	}
	v.membership(path, s)
	if s.Percent != nil && *s.Percent == 0 {
		v.add(path+".percent", "is 0%%, which is nobody")
	}
}

// pqlCertname is the beginning of a query whose rows are certnames.
var pqlCertname = regexp.MustCompile(`\A\s*[a-z_]+\s*\[\s*certname\s*\]\s*(\{|\z)`)

func (v *validator) selector(path, text string) {
	parsed, err := selector.Parse(text)
	if err != nil {
		v.add(path, "%s", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	for _, attribute := range parsed.Names() {
		if strings.HasPrefix(attribute, "enc.") && v.config.ENC == nil {
			v.add(path, "%s is not known without enc.command", attribute)
		}
	}
}

// certname is what Puppet takes: lower case, and nothing that means something
// in a path.
var certname = regexp.MustCompile(`\A[a-z0-9][a-z0-9._-]*\z`)

// glob is what may stand for certnames: *, ? and [a-z].
var glob = regexp.MustCompile(`\A[a-z0-9*?[][a-z0-9._*?^[\]-]*\z`)

func (v *validator) certnames(at string, names []string) {
	if len(names) == 0 {
		v.add(at, "expected at least one certname")
	}
	first := map[string]int{}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", at, i)
		pattern := certname
		if compose.IsGlob(name) {
			pattern = glob
		}
		if !pattern.MatchString(name) {
			v.add(at, "expected a certname in lower case, or a glob such as web*.example.com, got %q", name)
			continue
		}
		if _, err := path.Match(name, ""); err != nil {
			v.add(at, "%q is no glob: a bracket is not closed", name)
		}
		if index, twice := first[name]; twice {
			v.add(at, "%q is already certnames[%d]", name, index)
			continue
		}
		first[name] = i
	}
}

func (v *validator) schedules() {
	known := schedule.Names{Segments: sortedKeys(v.config.Segments), Windows: sortedKeys(v.config.Windows), Policies: sortedKeys(v.config.Policies)}
	for _, name := range known.Windows {
		if !v.config.Windows[name].Zoned() {
			known.Zoneless = append(known.Zoneless, name)
		}
	}
	if len(v.config.Schedules) == 0 {
		v.add("schedules", "expected at least one schedule")
	}
	for _, name := range sortedKeys(v.config.Schedules) {
		v.name("schedules", name)
		path := join("schedules", quoteKey(name))
		if v.broken[name] {
			continue
		}
		v.addAll("", v.config.Schedules[name].Validate(path, known))
		for i := range v.config.Schedules[name].Stages {
			stage := fmt.Sprintf("%s.stages[%d]", path, i)
			if v.given(stage+".nodes") && v.given(stage+".percent") {
				v.add(stage+".percent", "expected exactly one of nodes and percent, got both")
			}
		}
	}
}

func (v *validator) policies() {
	for _, name := range sortedKeys(v.config.Policies) {
		v.name("policies", name)
		path := join("policies", quoteKey(name))
		policy := v.config.Policies[name]
		v.addAll(path, policy.Validate())
		if len(policy.SLIs) > 0 && v.config.Prometheus == nil {
			v.add(path+".slis", "expected prometheus.url, which SLIs need")
		}
		for i, indicator := range policy.SLIs {
			v.query(fmt.Sprintf("%s.slis[%d]", path, i), sli.Query{Name: "query", PromQL: indicator.Query, Label: indicator.Label})
		}
	}
}

// query adds what the client says about a query under our names of the keys.
func (v *validator) query(path string, q sli.Query) {
	several, ok := errors.Unwrap(q.Validate()).(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, err := range several.Unwrap() {
		key, reason, _ := strings.Cut(err.Error(), ": ")
		if key == "promql" {
			key = "query"
		}
		if key == "query" && q.PromQL == "" {
			continue // the policy has said so
		}
		v.add(join(path, key), "%s", reason)
	}
}

func (v *validator) given(path string) bool {
	_, given := v.decoder.lines[path]
	return given
}
