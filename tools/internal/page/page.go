// Package page writes measured sections into a document: what stands between two marks is exactly what a command printed.
package page

import (
	"fmt"
	"os"
	"strings"
)

// Write replaces the text between the lines "<!-- PROGRAM SECTION -->" and "<!-- end SECTION -->" of a file.
func Write(file, program, section, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	next, err := Replace(string(old), program, section, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(next), 0o644)
}

// Replace does the same to a text.
func Replace(old, program, section, text string) (string, error) {
	first, last := "<!-- "+program+" "+section+" -->\n", "<!-- end "+section+" -->"
	from, to := strings.Index(old, first), strings.Index(old, last)
	if from < 0 || to < from {
		return "", fmt.Errorf("expected the lines %q and %q", strings.TrimSpace(first), last)
	}
	return old[:from+len(first)] + "\n" + strings.TrimSpace(text) + "\n\n" + old[to:], nil
}
