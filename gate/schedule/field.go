package schedule

import (
	"errors"
	"fmt"
	"regexp"
)

// namePattern is what schedules, stages, segments, windows and policies are
// called: the names become KV keys, file names and metric labels.
var namePattern = regexp.MustCompile(`\A[a-z0-9][a-z0-9_-]*\z`)

// maxName is longer than any name on a dashboard should be.
const maxName = 63

// ValidName says whether a schedule, stage, segment, window or policy may have
// that name: [a-z0-9][a-z0-9_-]*, at most 63 characters.
func ValidName(name string) bool {
	return len(name) <= maxName && namePattern.MatchString(name)
}

// FieldError is one wrong field, with its path such as
// "schedules.careful.stages[1].percent".
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// fields collects what is wrong, in the order in which it is found.
type fields struct{ errs []error }

func (f *fields) add(path, format string, args ...any) {
	f.errs = append(f.errs, &FieldError{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (f *fields) err() error { return errors.Join(f.errs...) }
