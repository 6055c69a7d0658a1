package grafanatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/grafana/grafana-openapi-client-go/models"
)

const (
	prefix = "/grafana/api/annotations"
	// maxTags is [annotations] tags_length, maxTag the width of the tag
	// table's columns for key and value.
	maxTags = 500
	maxTag  = 100
)

// ServeHTTP implements the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, prefix) {
		message(w, http.StatusNotFound, "Not found")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	slow, down, status := s.knobs(r)
	if slow != nil {
		select {
		case <-slow:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case r.Header.Get("Authorization") != "Bearer "+Token:
		message(w, http.StatusUnauthorized, "Invalid API key")
		return
	case status != 0:
		message(w, status, http.StatusText(status))
		return
	}
	code, answer := s.route(r, body)
	if code == http.StatusOK && s.loses(r.Method) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func message(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(says(text))
}

func says(text string) map[string]any { return map[string]any{"message": text} }

func (s *Server) route(r *http.Request, body []byte) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := strings.TrimPrefix(r.URL.Path, prefix)
	switch {
	case r.Method == http.MethodGet && rest == "":
		return s.find(r.URL.Query())
	case r.Method == http.MethodPost && rest == "":
		var cmd models.PostAnnotationsCmd
		if err := strict(r, body, &cmd); err != nil {
			return http.StatusBadRequest, says("bad request data: " + err.Error())
		}
		return s.post(cmd)
	case r.Method == http.MethodPatch && strings.HasPrefix(rest, "/"):
		var cmd models.PatchAnnotationsCmd
		if err := strict(r, body, &cmd); err != nil {
			return http.StatusBadRequest, says("bad request data: " + err.Error())
		}
		return s.patch(rest[1:], cmd)
	}
	return http.StatusNotFound, says("Not found")
}

// strict decodes what the client's models have and nothing else.
func strict(r *http.Request, body []byte, into interface{ Validate(strfmt.Registry) error }) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return fmt.Errorf("expected application/json, got %q", r.Header.Get("Content-Type"))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("expected one object, got more: %v", err)
	}
	return into.Validate(strfmt.Default)
}

func (s *Server) post(cmd models.PostAnnotationsCmd) (int, any) {
	if cmd.Text == nil || *cmd.Text == "" {
		return http.StatusBadRequest, says("Failed to save annotation: text field should not be empty")
	}
	a := &models.Annotation{ID: s.nextID, DashboardUID: cmd.DashboardUID, PanelID: cmd.PanelID,
		Text: *cmd.Text, Time: cmd.Time, TimeEnd: cmd.TimeEnd, Created: time.Now().UnixMilli()}
	if a.Time == 0 {
		a.Time = a.Created
	}
	if code, text := tidy(a, cmd.Tags); code != 0 {
		return code, says(text)
	}
	s.nextID++
	s.annotations = append(s.annotations, a)
	return http.StatusOK, map[string]any{"message": "Annotation added", "id": a.ID}
}

func (s *Server) patch(id string, cmd models.PatchAnnotationsCmd) (int, any) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return http.StatusBadRequest, says("annotationId is invalid")
	}
	i := slices.IndexFunc(s.annotations, func(a *models.Annotation) bool { return a.ID == n })
	if i < 0 {
		return http.StatusNotFound, says("Could not find annotation to update")
	}
	next := *s.annotations[i]
	if cmd.Text != "" {
		next.Text = cmd.Text
	}
	if cmd.Time > 0 {
		next.Time = cmd.Time
	}
	if cmd.TimeEnd > 0 {
		next.TimeEnd = cmd.TimeEnd
	}
	tags := next.Tags
	if cmd.Tags != nil {
		tags = cmd.Tags
	}
	if code, text := tidy(&next, tags); code != 0 {
		return code, says(text)
	}
	s.annotations[i] = &next
	return http.StatusOK, says("Annotation patched")
}

// tidy sets the tags and orders the times as Grafana does; the code is 0 when
// Grafana would store the result.
func tidy(a *models.Annotation, tags []string) (code int, text string) {
	a.Tags = nil
	size := 1
	for _, t := range tags {
		key, value, _ := strings.Cut(t, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if len(key) > maxTag || len(value) > maxTag {
			return http.StatusInternalServerError, "Failed to save annotation"
		}
		if t = strings.TrimSuffix(key+":"+value, ":"); t != "" && !slices.Contains(a.Tags, t) {
			a.Tags = append(a.Tags, t)
			size += len(t) + 3
		}
	}
	if size > maxTags {
		return http.StatusBadRequest, fmt.Sprintf("tags length (%d) exceeds the maximum allowed (%d)", size, maxTags)
	}
	if a.TimeEnd == 0 {
		a.TimeEnd = a.Time
	}
	if a.TimeEnd < a.Time {
		a.Time, a.TimeEnd = a.TimeEnd, a.Time
	}
	return 0, ""
}

// find answers the newest first; every tag that is asked for must be there.
func (s *Server) find(query url.Values) (int, any) {
	limit := 100
	for key, values := range query {
		switch key {
		case "tags":
		case "type":
			if values[0] != "annotation" {
				return http.StatusBadRequest, says("grafanatest: unknown type " + values[0])
			}
		case "limit":
			n, err := strconv.Atoi(values[0])
			if err != nil || n <= 0 {
				return http.StatusBadRequest, says("limit is invalid")
			}
			limit = n
		default:
			return http.StatusBadRequest, says("grafanatest: unknown parameter " + key)
		}
	}
	found := []*models.Annotation{}
	for _, a := range slices.Backward(s.annotations) {
		if !slices.ContainsFunc(query["tags"], func(t string) bool { return !slices.Contains(a.Tags, t) }) && len(found) < limit {
			found = append(found, a)
		}
	}
	return http.StatusOK, found
}
