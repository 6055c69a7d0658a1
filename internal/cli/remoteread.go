package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/why"
)

// keysAnswer is what the API says of a key, or of those below a prefix.
type keysAnswer struct {
	Index   uint64 `json:"index"`
	Entries []struct {
		Key     string `json:"key"`
		Value   []byte `json:"value"`
		Version uint64 `json:"version"`
	} `json:"entries"`
	Error string `json:"error"`
}

// read reads one key, or all below a prefix that ends in a slash. Only an answer that has an index is one: whatever else a URL
// says must not be taken for a store without keys.
func (r *remote) read(ctx context.Context, path string) (keysAnswer, error) {
	var a keysAnswer
	status, err := r.ask(ctx, http.MethodGet, "keys/"+(&url.URL{Path: path}).EscapedPath(), nil, &a, answerWithin)
	switch {
	case err != nil:
		return a, err
	case status == http.StatusOK && a.Index > 0:
		return a, nil
	case a.Error != "":
		return a, fmt.Errorf("%w: %s says: %s", store.ErrUnavailable, r.base, a.Error)
	}
	return a, &unreachable{base: r.base, err: fmt.Errorf("expected keys, got status %d: is it a sluiced of another version?", status)}
}

// Get makes the API a store that can be read.
func (r *remote) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	a, err := r.read(ctx, key)
	switch {
	case err != nil:
		return store.Entry{}, err
	case len(a.Entries) == 0:
		return store.Entry{}, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	case a.Entries[0].Key != key:
		return store.Entry{}, &unreachable{base: r.base, err: fmt.Errorf("expected key %s, got %s", key, a.Entries[0].Key)}
	}
	return store.Entry(a.Entries[0]), nil
}

// List reads what is below a prefix.
func (r *remote) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	a, err := r.read(ctx, prefix)
	out := make([]store.Entry, len(a.Entries))
	for i, e := range a.Entries {
		out[i] = store.Entry(e)
	}
	return out, a.Index, err
}

// Keys lists without the values. The API has no way to leave them out.
func (r *remote) Keys(ctx context.Context, prefix string) ([]string, error) {
	entries, _, err := r.List(ctx, prefix)
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Key
	}
	return out, err
}

// lookAgain is how often somebody who follows a rollout looks: the API tells nobody of changes.
const lookAgain = 2 * time.Second

// Watch returns at once, and then every so often.
func (r *remote) Watch(ctx context.Context, _ string, since uint64) (uint64, error) {
	if since == 0 {
		return 1, nil
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(lookAgain):
		return since, nil
	}
}

var errVerbsOnly = fmt.Errorf("%w: sluiced's API carries out verbs, and nothing else is written by it: name the store by --consul.address or --store.dir", store.ErrForbidden)

// Txn writes nothing.
func (r *remote) Txn(context.Context, ...store.Op) error { return errVerbsOnly }

// Campaign is for sluiced.
func (r *remote) Campaign(context.Context, string, string) (store.Lease, error) {
	return nil, errVerbsOnly
}

// Identity is sluiced's to say, of each request.
func (r *remote) Identity(context.Context) (string, error) { return "", nil }

// why asks sluiced, whose leader knows what selectors look at.
func (r *remote) why(ctx context.Context, certname, track string) (why.View, error) {
	var a struct {
		why.View
		Error string `json:"error"`
	}
	path := "why/" + url.PathEscape(certname)
	if track != "" {
		path += "?" + url.Values{"track": {track}}.Encode()
	}
	status, err := r.ask(ctx, http.MethodGet, path, nil, &a, answerWithin)
	switch {
	case err != nil:
		return a.View, err
	case status == http.StatusOK && a.Certname != "":
		return a.View, nil
	case a.Error != "":
		return a.View, errors.New(a.Error)
	}
	return a.View, &unreachable{base: r.base, err: fmt.Errorf("expected what node %s gets, got status %d", certname, status)}
}
