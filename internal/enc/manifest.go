// Package enc is the document that puppetservers obey: how it is written, checked and accepted. The
// pure part is here; lookup answers for a node, edge does the reading and writing on a puppetserver.
package enc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openinfrastructure/sluice/segments"
)

// A manifest is one line of JSON whose first member is the digest of all bytes after it, so that a
// reader with no more than sha256sum can check it:
//
//	{"digest":"<64 hex digits>","format":1,...}
const (
	digestHead = `{"digest":"`
	digestTail = `",`
	digestSize = 2 * sha256.Size
)

// ErrEmpty is what an empty manifest is refused with: the likeliest thing a sick Consul renders.
var ErrEmpty = errors.New("the manifest is empty")

// Encode writes a manifest. It refuses a document that no edge would accept.
func Encode(d segments.Document) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	rest := body[1:] // what follows the opening brace
	sum := sha256.Sum256(rest)
	return bytes.Join([][]byte{[]byte(digestHead), []byte(hex.EncodeToString(sum[:])), []byte(digestTail), rest}, nil), nil
}

// Decode reads a manifest and returns the digest it carries. Everything that is not exactly a manifest
// (empty, torn, edited by hand, of another format) is an error.
func Decode(data []byte) (segments.Document, string, error) {
	var d segments.Document
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return d, "", refuse(ReasonEmpty, ErrEmpty)
	}
	head := len(digestHead) + digestSize + len(digestTail)
	if len(data) < head || !bytes.HasPrefix(data, []byte(digestHead)) {
		return d, "", refuse(ReasonTorn, errors.New(`the manifest does not begin with {"digest":"…"`))
	}
	digest := string(data[len(digestHead) : len(digestHead)+digestSize])
	if sum := sha256.Sum256(data[head:]); hex.EncodeToString(sum[:]) != digest {
		return d, "", refuse(ReasonTorn, errors.New("the manifest is torn or edited: its digest does not fit its content"))
	}
	var whole struct {
		Digest string `json:"digest"`
		segments.Document
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&whole); err != nil {
		return d, "", refuse(ReasonInvalid, fmt.Errorf("the manifest cannot be read: %w", err))
	}
	if dec.More() {
		return d, "", refuse(ReasonInvalid, errors.New("the manifest has something after its end"))
	}
	if err := whole.Validate(); err != nil {
		return d, "", refuse(ReasonInvalid, fmt.Errorf("the manifest is refused: %w", err))
	}
	return whole.Document, digest, nil
}
