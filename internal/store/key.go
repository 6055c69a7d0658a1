package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKey is the longest key, in bytes. It leaves room for a prefix below the
// limits of a file system path element count and of an HTTP request line.
const MaxKey = 512

// CheckKey returns an ErrInvalid that says what is wrong with a key, or nil.
// Every store refuses the same keys, so that what works in one works in all: a
// key must also be safe as a path below a directory.
func CheckKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: empty key", ErrInvalid)
	}
	if len(key) > MaxKey {
		return fmt.Errorf("%w: key %.40q... has %d bytes, at most %d are allowed", ErrInvalid, key, len(key), MaxKey)
	}
	if !utf8.ValidString(key) || strings.ContainsFunc(key, unsafeRune) {
		return fmt.Errorf("%w: key %q: want printable utf-8 without backslashes", ErrInvalid, key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("%w: key %q: want segments separated by single slashes, none of them %q", ErrInvalid, key, segment)
		}
	}
	return nil
}

func unsafeRune(r rune) bool { return !unicode.IsPrint(r) || r == '\\' }

// CheckPrefix does the same for a prefix: "" or a key followed by "/".
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	key, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("%w: prefix %q: want a path that ends in a slash", ErrInvalid, prefix)
	}
	return CheckKey(key)
}
