package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/internal/web"
)

const (
	// mostBody is how many bytes a request may have: parameters are the largest part, and few go to every edge.
	mostBody = 64 << 10
	// mostWait keeps an answer within the server's write timeout.
	mostWait = 30 * time.Second
)

// done is the answer to a verb that was carried out, or is left for the leader.
type done struct {
	Verb    string   `json:"verb"`
	By      string   `json:"by"`
	Said    []string `json:"said"`
	Request string   `json:"request,omitempty"` // what was left for the leader: GET requests/ID while it waits
	Taken   bool     `json:"taken,omitempty"`   // and whether the leader took it up
}

// problem is the answer to one that was not, or not for all.
type problem struct {
	Error   string    `json:"error"`
	Field   string    `json:"field,omitempty"` // path in the request
	Rollout string    `json:"rollout,omitempty"`
	Phase   string    `json:"phase,omitempty"`   // of that rollout, where it is the reason
	Request string    `json:"request,omitempty"` // what waits for a leader nevertheless
	Done    []string  `json:"done,omitempty"`    // rollouts for which it was carried out
	Failed  []problem `json:"failed,omitempty"`
	Said    []string  `json:"said,omitempty"`
}

func (h *handler) verb(w http.ResponseWriter, r *http.Request) {
	who, ok := web.IdentityFrom(r.Context())
	if !ok {
		answer(w, http.StatusForbidden, problem{Error: "who asks is not known"})
		return
	}
	if h.Desk == nil {
		answer(w, http.StatusForbidden, problem{Error: "verbs are not enabled: start sluiced with --web.enable-admin-api, or go to the store, as sluice does without --api"})
		return
	}
	v, a, code, p := read(w, r)
	if p != nil {
		answer(w, code, *p)
		return
	}
	name := nameOf(who)
	code, out := h.carryOut(r, v, a, name)
	log := h.Log.Info().Str("verb", v.Name).Str("who", name).Int("status", code)
	if p, ok := out.(problem); ok {
		log = log.Str("error", p.Error)
	}
	log.Msg("a verb by the API")
	answer(w, code, out)
}

// nameOf is who asks, as the audit and the stages' approvers have it: one word, and how it was proven. Whatever ends a name where it is
// read again is replaced: a certificate of "anna:" or "anna x" must not speak for anna.
func nameOf(who web.Identity) string {
	if who.How == "loopback" {
		return who.Name
	}
	word := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._@-+", r) {
			return r
		}
		return '_'
	}, who.Name)
	return word + " (api, " + who.How + ")"
}

// read takes a request apart; a problem is the answer.
func read(w http.ResponseWriter, r *http.Request) (verb.Verb, verb.Ask, int, *problem) {
	var a verb.Ask
	var names []string
	var v verb.Verb
	for _, known := range verb.All {
		names = append(names, known.Path())
		if known.Path() == r.PathValue("verb") {
			v = known
		}
	}
	if v.Name == "" {
		return v, a, http.StatusNotFound, &problem{Error: fmt.Sprintf("no verb %q; expected one of %s", r.PathValue("verb"), strings.Join(names, ", "))}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return v, a, http.StatusUnsupportedMediaType, &problem{Error: "expected Content-Type: application/json"}
	}
	a, err := v.Decode(http.MaxBytesReader(w, r.Body, mostBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return v, a, http.StatusRequestEntityTooLarge, &problem{Error: fmt.Sprintf("%s: expected at most %d bytes", v.Name, mostBody)}
	}
	if err == nil {
		err = v.Check(&a)
	}
	if wait, bad := time.ParseDuration(a.Wait); err == nil && bad == nil && wait > mostWait {
		return v, a, http.StatusBadRequest, &problem{Error: fmt.Sprintf("%s: wait %s: expected at most %s", v.Name, a.Wait, mostWait), Field: "wait"}
	}
	if err != nil {
		code, p := problemOf(err)
		return v, a, code, &p
	}
	return v, a, 0, nil
}

// carryOut does what the command line does with the same request.
func (h *handler) carryOut(r *http.Request, v verb.Verb, a verb.Ask, who string) (int, any) {
	d, unread, err := verb.Sit(r.Context(), h.Desk(), v, who, h.Now)
	if err != nil {
		return problemAnswer(err, verb.Outcome{}, nil)
	}
	said := []string{}
	if unread != nil {
		said = append(said, "not everything can be read, so the name is not checked: "+unread.Error())
	}
	d.Say = func(line string) { said = append(said, line) }
	out, err := d.Do(r.Context(), v, a)
	if err != nil {
		return problemAnswer(err, out, said)
	}
	code := http.StatusOK
	if out.Request != "" && !out.Taken {
		code = http.StatusAccepted
	}
	return code, done{Verb: v.Name, By: who, Said: said, Request: out.Request, Taken: out.Taken}
}

func problemAnswer(err error, out verb.Outcome, said []string) (int, any) {
	code, p := problemOf(err)
	p.Request, p.Said = out.Request, said
	return code, p
}

var statuses = map[verb.Kind]int{verb.Wrong: http.StatusBadRequest, verb.Missing: http.StatusNotFound, verb.Refused: http.StatusConflict,
	verb.Queued: http.StatusAccepted, verb.Unreadable: http.StatusServiceUnavailable}

// problemOf turns every error into a status that is no success, but for a request that waits for a leader.
func problemOf(err error) (int, problem) {
	var e *verb.Error
	var part *verb.Partly
	switch {
	case errors.As(err, &part):
		p := problem{Error: part.Error(), Done: part.Done}
		for _, failed := range part.Failed {
			_, one := problemOf(failed)
			p.Failed = append(p.Failed, one)
		}
		return statuses[part.Failed[0].Kind], p
	case errors.As(err, &e):
		p := problem{Error: e.Error(), Field: e.Field, Rollout: e.Rollout}
		if e.Phased {
			p.Phase = e.Phase.String()
		}
		return statuses[e.Kind], p
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict, problem{Error: "somebody was faster, look and ask again: " + err.Error()}
	case errors.Is(err, store.ErrForbidden):
		return http.StatusServiceUnavailable, problem{Error: "sluiced may not write this (store.consul.api_token_file needs the policy api): " + err.Error()}
	}
	return http.StatusServiceUnavailable, problem{Error: err.Error()}
}
