package notify

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Notifier tells one receiver.
type Notifier interface {
	// Notify tells the event, once: called again with an event of the same
	// ID it must not tell it twice where the receiver allows that to be
	// known. It returns when the receiver has the event, or with an error;
	// it honours ctx. A *Error says more about what to do next.
	Notify(ctx context.Context, e Event) error
	// Name is short, fixed and unique in a Queue: a metric label.
	Name() string
}

// Error is a failed delivery that knows whether another attempt makes sense.
// Any other error is worth another attempt.
type Error struct {
	Err error
	// Permanent: the receiver has refused this event for good.
	Permanent bool
	// RetryAfter is the receiver's wish, 0 for none.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refused reports whether a status means that the same request will never be
// taken. 401 and 403 do not: a person renews a token or a permission, and the
// token file is read again for each attempt.
func refused(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

func isPermanent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Permanent
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
