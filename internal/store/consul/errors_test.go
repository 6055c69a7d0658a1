package consul

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{api.StatusError{Code: 403, Body: "ACL not found"}, store.ErrForbidden},
		{api.StatusError{Code: 401, Body: "ACL support disabled"}, store.ErrForbidden},
		{api.StatusError{Code: 413, Body: "too large"}, store.ErrTooLarge},
		{api.StatusError{Code: 400, Body: "bad request"}, store.ErrInvalid},
		{api.StatusError{Code: 404, Body: "no such page"}, store.ErrUnavailable},
		{api.StatusError{Code: 429, Body: "rate limit"}, store.ErrUnavailable},
		{api.StatusError{Code: 500, Body: "No cluster leader"}, store.ErrUnavailable},
		{api.StatusError{Code: 503, Body: ""}, store.ErrUnavailable},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), store.ErrUnavailable},
		{fmt.Errorf("dial: %w", context.Canceled), context.Canceled},
		{errors.New("invalid character '<'"), store.ErrUnavailable},
		{fmt.Errorf("hidden: %w", store.ErrForbidden), store.ErrForbidden},
	} {
		if got := classify(c.err); !errors.Is(got, c.want) {
			t.Errorf("%v became %v, want %v", c.err, got, c.want)
		}
	}
	page := classify(api.StatusError{Code: 502, Body: strings.Repeat("<p>", 5000)})
	if n := len(page.Error()); n > 500 {
		t.Errorf("the error for a page has %d bytes", n)
	}
}

// FuzzRolledBack: no body of a refused transaction is taken for success, and a
// conflict always names an operation that was sent.
func FuzzRolledBack(f *testing.F) {
	f.Add(`{"Results":null,"Errors":[{"OpIndex":2,"What":"failed to set key \"a\", index is stale"}]}`)
	f.Add(`{"Errors":[{"OpIndex":0,"What":"Permission denied: token with AccessorID '1' lacks permission 'key:write' on \"a\""}]}`)
	f.Add(`{"Errors":[{"OpIndex":-1}]}`)
	f.Add(`{"Errors":[null]}`)
	f.Add(`{"Errors":[]}`)
	f.Add(`<html>`)
	s := &Store{config: Config{Prefix: "sluice/"}}
	ops := []store.Op{store.Set("a", nil), store.DeleteCAS("b", 1), store.CheckNotExists("c")}
	_, origin := s.translate(ops)
	f.Fuzz(func(t *testing.T, body string) {
		err := s.rolledBack(body, ops, origin)
		var conflict *store.ConflictError
		switch {
		case errors.As(err, &conflict):
			if conflict.Index < 0 || conflict.Index >= len(ops) || ops[conflict.Index].Key != conflict.Key {
				t.Errorf("%q: conflict %+v", body, conflict)
			}
		case !errors.Is(err, store.ErrForbidden) && !errors.Is(err, store.ErrUnavailable):
			t.Errorf("%q: %v has no class", body, err)
		}
	})
}
