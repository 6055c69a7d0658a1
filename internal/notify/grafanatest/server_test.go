package grafanatest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(t *testing.T, s *Server, method, path, token, contentType, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", contentType)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(answer))
}

// The server must refuse what Grafana refuses, or tests against it show nothing.
func TestContract(t *testing.T) {
	s := New(t)
	const path, media = "/api/annotations", "application/json"
	long := strings.Repeat("x", 101)
	tests := []struct {
		name, method, path, token, media, body string
		code                                   int
		answer                                 string
	}{
		{"add", "POST", path, Token, media, `{"text":"a","time":5,"tags":["sluice","id:1"]}`, 200, `{"id":1,"message":"Annotation added"}`},
		{"no token", "POST", path, "", media, `{"text":"a"}`, 401, `Invalid API key`},
		{"another token", "GET", path, "x", media, ``, 401, `Invalid API key`},
		{"a form", "POST", path, Token, "application/x-www-form-urlencoded", `text=a`, 400, `expected application/json`},
		{"an unknown field", "POST", path, Token, media, `{"text":"a","title":"b"}`, 400, `unknown field`},
		{"two objects", "POST", path, Token, media, `{"text":"a"}{}`, 400, `expected one object`},
		{"no text", "POST", path, Token, media, `{"time":5}`, 400, `text`},
		{"empty text", "POST", path, Token, media, `{"text":""}`, 400, `should not be empty`},
		{"seconds as a string", "POST", path, Token, media, `{"text":"a","time":"5"}`, 400, `cannot unmarshal`},
		{"tags over the limit", "POST", path, Token, media, `{"text":"a","tags":["` + strings.Repeat("a", 90) + `","` + strings.Repeat("b", 90) + `","` +
			strings.Repeat("c", 90) + `","` + strings.Repeat("d", 90) + `","` + strings.Repeat("e", 90) + `","` + strings.Repeat("f", 90) + `"]}`, 400, `exceeds the maximum`},
		{"a tag over the column", "POST", path, Token, media, `{"text":"a","tags":["id:` + long + `"]}`, 500, `Failed to save`},
		{"patch", "PATCH", path + "/1", Token, media, `{"timeEnd":9}`, 200, `{"message":"Annotation patched"}`},
		{"patch of nothing", "PATCH", path + "/77", Token, media, `{"timeEnd":9}`, 404, `Could not find`},
		{"patch without a number", "PATCH", path + "/x", Token, media, `{}`, 400, `invalid`},
		{"find", "GET", path + "?tags=sluice&tags=id:1&type=annotation&limit=5", Token, media, ``, 200, `"time":5,"timeEnd":9`},
		{"find nothing", "GET", path + "?tags=sluice&tags=id:2", Token, media, ``, 200, `[]`},
		{"find by what Grafana does not know", "GET", path + "?tag=sluice", Token, media, ``, 400, `unknown parameter`},
		{"another path", "GET", "/api/dashboards", Token, media, ``, 404, `Not found`},
		{"another method", "DELETE", path + "/1", Token, media, ``, 404, `Not found`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, answer := ask(t, s, tt.method, tt.path, tt.token, tt.media, tt.body)
			if code != tt.code || !strings.Contains(answer, tt.answer) {
				t.Errorf("got %d %s, want %d %s", code, answer, tt.code, tt.answer)
			}
		})
	}
	if a := s.Annotations()[0]; a.Text != "a" || a.Time != 5 || a.TimeEnd != 9 || len(a.Tags) != 2 {
		t.Errorf("after the patch: %+v", a)
	}
}
