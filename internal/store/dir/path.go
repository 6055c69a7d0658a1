package dir

import (
	"net/url"
	"path/filepath"
	"strings"
)

// Names that no encoded key can have.
const (
	private  = ".sluice" // below the root: locks, the journal, staged files
	self     = "%self"   // the value of a key below which there are other keys
	longer   = "%+"      // ends a directory's name where a segment goes on in the next one
	maxPiece = 200       // bytes; file systems take 255
)

// pathOf gives the file of a key, relative to the root. It is the key itself but for what a file system or an editor
// would misread: a leading dot, a trailing tilde, a percent sign, and segments longer than a file name may be.
func pathOf(key string) string {
	var parts []string
	for segment := range strings.SplitSeq(key, "/") {
		s := strings.ReplaceAll(segment, "%", "%25")
		if strings.HasPrefix(s, ".") {
			s = "%2E" + s[1:]
		}
		if strings.HasSuffix(s, "~") {
			s = s[:len(s)-1] + "%7E"
		}
		for len(s) > maxPiece {
			parts = append(parts, s[:maxPiece]+longer)
			s = s[maxPiece:]
		}
		parts = append(parts, s)
	}
	return filepath.Join(parts...)
}

// keyOf is the reverse. A name that pathOf never makes, put there by hand, is its own key: it may be somebody's stop.
func keyOf(path string) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	if n := len(parts); n > 1 && parts[n-1] == self {
		parts = parts[:n-1]
	}
	var segments []string
	piece := ""
	for _, p := range parts {
		if rest, ok := strings.CutSuffix(p, longer); ok {
			piece += rest
			continue
		}
		raw := piece + p
		piece = ""
		if decoded, err := url.PathUnescape(raw); err == nil && !strings.Contains(decoded, "/") {
			raw = decoded
		}
		segments = append(segments, raw)
	}
	if piece != "" {
		segments = append(segments, piece)
	}
	return strings.Join(segments, "/")
}

// ignored says which names are nobody's key: our own directory, what is hidden, and editors' copies.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~")
}
