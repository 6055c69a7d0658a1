package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Identities of code that are none.
const (
	codeMissing  = "missing"
	codeUnpinned = "unpinned"
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
		return closed("edges", "edges", "no puppetserver has reported within %s", s.w.EdgeRule.Live)
	}
	var problems []string
	for _, e := range live {
		problems = append(problems, s.behind(e)...)
	}
	for _, env := range s.environments() {
		problems = append(problems, s.code(env, live)...)
	}
	if len(problems) > 0 {
		return closed("edges", "edges", "%s", strings.Join(problems, "; "))
	}
	return opened("edges", "%d live, all in order", len(live))
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

// code checks one environment over all live edges.
func (s *stepper) code(env string, live []Edge) []string {
	var problems []string
	first := ""
	for _, e := range live {
		id, told := e.Code[env]
		switch {
		case !told:
			problems = append(problems, fmt.Sprintf("%s has not said which code %s is", e.Host, env))
		case id == codeMissing:
			problems = append(problems, fmt.Sprintf("environment %s is missing on %s", env, e.Host))
		case id == codeUnpinned && !s.w.EdgeRule.AllowUnpinned:
			problems = append(problems, fmt.Sprintf("the code of %s on %s is unpinned (expected the signature that r10k or g10k leaves in it)", env, e.Host))
		case first != "" && id != first:
			problems = append(problems, fmt.Sprintf("bypass: %s is %s on %s and %s elsewhere", env, id, e.Host, first))
		case s.state.Code[env] != "" && id != s.state.Code[env]:
			problems = append(problems, fmt.Sprintf("bypass: %s is %s on %s, it was %s when the rollout began", env, id, e.Host, s.state.Code[env]))
		default:
			first = id
		}
	}
	return problems
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

// environments are the ones whose code may not change under the rollout: the track's baseline and the candidate.
func (s *stepper) environments() []string {
	var envs []string
	for _, t := range s.w.Tracks {
		if t.Name == s.r.Spec.Track {
			envs = append(envs, t.Baseline)
		}
	}
	if s.r.Spec.Candidate != "" {
		envs = append(envs, s.r.Spec.Candidate)
	}
	return envs
}
