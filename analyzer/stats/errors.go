package stats

import "errors"

var (
	// ErrNaN says that a value is not a number. It is missing data, which no
	// test may turn into evidence.
	ErrNaN = errors.New("value is not a number, expected data")
	// ErrEmpty says that an arm has no observation.
	ErrEmpty = errors.New("no observation, expected at least one in each arm")
	// ErrTooLarge says that an exact answer was asked for where it costs more
	// than [MaxExactWork], or that there are more than [MaxObservations].
	ErrTooLarge = errors.New("too large")
	// ErrArgument says that an argument is outside its domain.
	ErrArgument = errors.New("argument outside its range")
)

// MaxObservations is the largest number of observations of both arms together.
// Up to it, 2·n·m fits an int64, on which the exact integers rely.
const MaxObservations = 1 << 31
