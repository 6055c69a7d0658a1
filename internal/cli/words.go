package cli

import "github.com/openinfrastructure/sluice/internal/words"

// Words that the API and the audit spell the same way.
var (
	utc, age, number, plural, some = words.UTC, words.Age, words.Number, words.Count, words.Some
	safe, oneLine, orUnknown       = words.Safe, words.OneLine, words.OrUnknown
)
