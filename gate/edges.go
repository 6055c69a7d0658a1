package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Identities of code that are none.
const (
	codeMissing  = "missing"
	codeUnpinned = "unpinned"
	codeFailed   = "failed"
)

// live gives the edges that reported lately.
func (w *World) live() []Edge {
	var out []Edge
	for _, e := range w.Edges {
		if w.Now.Sub(e.At) <= w.EdgeRule.Live {
			out = append(out, e)
		}
	}
	return out
}

// edgesGate asks every live edge: does it have the document, both environments, and the same code as the
// others and as when the rollout began?
func (s *stepper) edgesGate() Gate {
	live := s.w.live()
	if len(live) == 0 {
		return closed(GateEdges, "edges", "no puppetserver has reported within %s", s.w.EdgeRule.Live).is(0, 1)
	}
	var problems []string
	for _, e := range live {
		problems = append(problems, s.behind(e)...)
	}
	for _, env := range s.environments() {
		problems = append(problems, s.w.code(env, s.state.Code[env], live)...)
	}
	problems = append(problems, s.bypassElsewhere(live)...)
	if len(problems) > 0 {
		return closed(GateEdges, "edges", "%s", strings.Join(problems, "; ")).is(len(problems), 0)
	}
	return opened(GateEdges, "%d live, all in order", len(live)).is(0, 0)
}

func (s *stepper) behind(e Edge) []string {
	doc := s.w.Document
	age := s.w.Now.Sub(doc.Written)
	switch {
	case !e.Ready:
		return []string{fmt.Sprintf("%s never accepted a document: %s", e.Host, e.Refused)}
	case slices.Contains(e.Local, "baseline") || slices.Contains(e.Local, "stop"):
		return []string{fmt.Sprintf("%s has the local file %s", e.Host, strings.Join(e.Local, ", "))}
	case e.Generation+1 < doc.Generation || e.Generation < doc.Generation && age > s.w.EdgeRule.MaxAge:
		why := ""
		if e.Refused != "" {
			why = ": " + e.Refused
		}
		return []string{fmt.Sprintf("%s has generation %d, %d was written %s ago%s", e.Host, e.Generation, doc.Generation, age.Round(time.Second), why)}
	case e.Refused != "" && (age > s.w.EdgeRule.MaxAge || e.Generation >= doc.Generation):
		return []string{fmt.Sprintf("%s refuses the document: %s", e.Host, e.Refused)}
	case s.w.Now.Sub(e.At) > s.w.EdgeRule.MaxAge:
		return []string{fmt.Sprintf("%s reported %s ago, at most %s is current", e.Host, s.w.Now.Sub(e.At).Round(time.Second), s.w.EdgeRule.MaxAge)}
	}
	return nil
}

// bypass begins what is said of code that was changed, or differs, beside sluice.
const bypass = "bypass: "

// code checks one environment over all live edges against want, its identity when the rollout began; where that is not known
// yet, against what most edges have, so that the one that lags is named.
func (w *World) code(env, want string, live []Edge) []string {
	var problems []string
	hosts := map[string][]string{} // by identity
	for _, e := range live {
		id, told := e.Code[env]
		switch {
		case !told:
			problems = append(problems, fmt.Sprintf("%s has not said which code %s is", e.Host, env))
		case id == codeMissing:
			problems = append(problems, fmt.Sprintf("environment %s is missing on %s", env, e.Host))
		case id == codeFailed:
			problems = append(problems, fmt.Sprintf("the deployment of %s on %s did not get through", env, e.Host))
		case id == codeUnpinned && !w.EdgeRule.AllowUnpinned:
			problems = append(problems, fmt.Sprintf("the code of %s on %s is unpinned (expected the signature that r10k or g10k leaves in it)", env, e.Host))
		default:
			hosts[id] = append(hosts[id], e.Host)
		}
	}
	then := "it is %s elsewhere"
	if want != "" {
		then = "it was %s when the rollout began"
	} else if want = most(hosts); want == "" && len(hosts) > 1 {
		var all []string
		for _, id := range slices.Sorted(maps.Keys(hosts)) {
			all = append(all, id+" on "+strings.Join(hosts[id], ", "))
		}
		return append(problems, bypass+env+" is "+strings.Join(all, " and "))
	}
	for _, id := range slices.Sorted(maps.Keys(hosts)) {
		if id != want {
			problems = append(problems, fmt.Sprintf("%s%s is %s on %s, "+then, bypass, env, id, strings.Join(hosts[id], ", "), want))
		}
	}
	return problems
}

// most is the identity that more edges have than any other, "" where there is none.
func most(hosts map[string][]string) string {
	best, tie := "", true
	for id, h := range hosts {
		switch {
		case best == "" || len(h) > len(hosts[best]):
			best, tie = id, false
		case len(h) == len(hosts[best]):
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// bypassElsewhere says where the code under another rollout was changed beside sluice: whoever does that is not
// under control here either, so everything holds. A rollout that still waits may be being deployed.
func (s *stepper) bypassElsewhere(live []Edge) []string {
	var problems []string
	for i := range s.w.Rollouts {
		other := &s.w.Rollouts[i]
		if i == s.index || !s.after[i].Phase.Active() {
			continue
		}
		for _, env := range s.w.environments(other.Spec) {
			if slices.Contains(s.environments(), env) && s.state.Code[env] == s.after[i].Code[env] {
				continue // said already
			}
			for _, p := range s.w.code(env, s.after[i].Code[env], live) {
				if strings.HasPrefix(p, bypass) {
					problems = append(problems, "under "+other.Spec.Name+": "+p)
				}
			}
		}
	}
	return problems
}

// learnCode freezes the code of an environment that became the baseline after this rollout began, as soon as all
// edges agree about it.
func (s *stepper) learnCode() {
	live := s.w.live()
	for _, env := range s.environments() {
		if s.state.Code[env] != "" || len(live) == 0 || len(s.w.code(env, "", live)) > 0 {
			continue
		}
		if s.state.Code == nil {
			s.state.Code = map[string]string{}
		}
		s.state.Code[env], s.changed = live[0].Code[env], true
	}
}

// codeNow is the identity of both environments, to be frozen.
func (s *stepper) codeNow() map[string]string {
	code := map[string]string{}
	for _, e := range s.w.live() {
		for _, env := range s.environments() {
			if id := e.Code[env]; id != "" && id != codeMissing {
				code[env] = id
			}
		}
	}
	return code
}

func (s *stepper) environments() []string { return s.w.environments(s.r.Spec) }

// environments are the ones whose code may not change under the rollout: the track's baseline and the candidate.
func (w *World) environments(spec Spec) []string {
	var envs []string
	for _, t := range w.Tracks {
		if t.Name == spec.Track {
			envs = append(envs, t.Baseline)
		}
	}
	if spec.Candidate != "" {
		envs = append(envs, spec.Candidate)
	}
	return envs
}
