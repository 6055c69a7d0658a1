package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/openinfrastructure/sluice/internal/store"
)

// classify gives an error of the file system its class. A full disk, a read-only file system and whatever else may pass
// or be mended are "unavailable": never "there is nothing there".
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrForbidden), errors.Is(err, store.ErrConflict):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", store.ErrForbidden, err)
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// alive gives an ended context the class that a request over a network would get.
func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}
