package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

// classify gives a client's error its class. What has no status was not answered.
// Consul's text names key and accessor of a refused request and never the secret.
func classify(err error) error {
	for _, class := range []error{store.ErrForbidden, store.ErrUnavailable, store.ErrTooLarge} {
		if errors.Is(err, class) {
			return err
		}
	}
	var status api.StatusError
	if !errors.As(err, &status) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	switch {
	case status.Code == http.StatusForbidden || status.Code == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", store.ErrForbidden, text(status))
	case status.Code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %s", store.ErrTooLarge, text(status))
	case status.Code == http.StatusBadRequest:
		return fmt.Errorf("%w: %s", store.ErrInvalid, text(status))
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, text(status))
}

// text is short: a proxy may answer with a whole page.
func text(status api.StatusError) string {
	return fmt.Sprintf("status %d: %.300s", status.Code, status.Body)
}

// answered tells Consul's "there is nothing" from the 404 of something else that
// listens on that address: only Consul's has an index.
func answered(meta *api.QueryMeta) error {
	if meta == nil {
		return nil // the request failed, and its error says so
	}
	if meta.LastIndex == 0 {
		return fmt.Errorf("%w: an answer without an index: is this a consul api?", store.ErrUnavailable)
	}
	return nil
}

// complete refuses a list from which access rules took something away: a flag that
// is hidden looks like a flag that is not set.
func (s *Store) complete(ctx context.Context, prefix string, meta *api.QueryMeta) error {
	if err := answered(meta); err != nil || meta == nil || !meta.ResultsFilteredByACLs {
		return err
	}
	return fmt.Errorf("%w: %s may not read every key below %q", store.ErrForbidden, s.accessor(ctx), s.full(prefix))
}

// accessor names the token for an error message.
func (s *Store) accessor(ctx context.Context) string {
	token, _, err := s.client.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "this token"
	}
	return "token with accessor " + token.AccessorID
}
