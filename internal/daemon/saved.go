package daemon

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// What a leader knows of nodes it writes into a file every so often, so that the next one in its place reads from PuppetDB only what
// came since:
//
//	magic, header (JSON), nodes, troubled nodes (JSON each), rollouts under way with a record of each node, SHA-256 of all that
//
// Strings and JSON are preceded by their length. A file that is not whole, or not of this site, is as good as none: the history is read
// from PuppetDB then.

const (
	savedMagic = "sluice nodes 1\n"
	savedName  = "nodes.bin"
)

// savedHeader says what the file is of.
type savedHeader struct {
	PuppetDB string             `json:"puppetdb"` // its URL
	At       time.Time          `json:"at"`
	Feed     puppetdb.FeedState `json:"feed"`
	Envs     []string           `json:"envs"` // by their number, from 1
	Nodes    int                `json:"nodes"`
	Trouble  int                `json:"trouble"`
	Missing  map[string]uint32  `json:"missing,omitempty"`
	Courses  int                `json:"courses"`
}

// savedTrouble are the runs of a node that has failed.
type savedTrouble struct {
	Node uint32         `json:"node"`
	Runs []analyzer.Run `json:"runs"`
}

// savedWriter writes parts and their sum.
type savedWriter struct {
	out *bufio.Writer
	sum hashWriter
	buf []byte
}

type hashWriter interface {
	io.Writer
	Sum([]byte) []byte
}

// flush writes what was appended to buf.
func (w *savedWriter) flush() error {
	_, _ = w.sum.Write(w.buf) // never fails
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *savedWriter) text(s string) {
	w.buf = append(binary.AppendUvarint(w.buf, uint64(len(s))), s...)
}

func (w *savedWriter) json(v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		w.buf = append(binary.AppendUvarint(w.buf, uint64(len(data))), data...)
		err = w.flush()
	}
	return err
}

// save writes the file; the old one stays where that fails. It is called between two polls: only reports change nodes, and rollouts are
// copied a part at a time, so that the leader does not wait. Of a rollout whose state turns meanwhile nothing is kept this time.
func (c *collector) save() error {
	c.mu.Lock()
	feed := c.feed
	c.mu.Unlock()
	if feed == nil {
		return nil
	}
	dir := c.cfg.Controller.StateDir
	f, err := renameio.NewPendingFile(filepath.Join(dir, savedName), renameio.WithTempDir(dir), renameio.WithPermissions(0o640))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }() // of what did not become a file
	w := &savedWriter{out: bufio.NewWriterSize(f, 1<<18), sum: sha256.New()}
	h := savedHeader{PuppetDB: c.cfg.PuppetDB.URL, At: c.now().UTC(), Feed: feed.State()}
	if err := c.ledger.save(w, h); err != nil {
		return err
	}
	if _, err := w.out.Write(w.sum.Sum(nil)); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// errTurned says that a rollout changed while it was written.
var errTurned = errors.New("a rollout turned in the meantime")

func (l *ledger) save(w *savedWriter, h savedHeader) error {
	l.mu.Lock()
	h.Envs = make([]string, len(l.envs))
	for name, n := range l.envs {
		if int(n) <= len(h.Envs) && n > 0 {
			h.Envs[n-1] = name
		}
	}
	if len(l.envs) >= sharedEnv {
		l.mu.Unlock()
		return fmt.Errorf("%d environments cannot be told apart", len(l.envs))
	}
	h.Nodes, h.Missing = len(l.recent), make(map[string]uint32, len(l.missing))
	for hash, id := range l.missing {
		h.Missing[hash] = id
	}
	trouble := make([]savedTrouble, 0, len(l.trouble))
	for id, runs := range l.trouble {
		trouble = append(trouble, savedTrouble{id, runs}) // never written to
	}
	names := l.names.list[:h.Nodes]
	courses := make(map[string]*course, len(l.courses))
	for name, c := range l.courses {
		courses[name] = c
	}
	l.mu.Unlock()
	h.Trouble, h.Courses = len(trouble), len(courses)
	w.buf = append(w.buf, savedMagic...)
	if err := w.json(h); err != nil {
		return err
	}
	for from := 0; from < h.Nodes; from += savedAtOnce {
		l.mu.Lock()
		for id := from; id < min(from+savedAtOnce, h.Nodes); id++ {
			w.text(names[id])
			w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(l.seen[id]))
			w.buf = l.recent[id].AppendBinary(w.buf)
		}
		l.mu.Unlock()
		if err := w.flush(); err != nil {
			return err
		}
	}
	for _, t := range trouble {
		if err := w.json(t); err != nil {
			return err
		}
	}
	for name, c := range courses {
		if err := l.saveCourse(w, name, c); err != nil {
			return fmt.Errorf("rollout %s: %w", name, err)
		}
	}
	return nil
}

// savedAtOnce bounds how long the leader waits.
const savedAtOnce = 10_000

// readSaved reads a file into an empty ledger, and says of which feed it is. After an error the ledger is no good.
func readSaved(path, url string, l *ledger, now time.Time, atMost time.Duration) (*savedHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSavedFrom(f, url, l, now, atMost)
}

func readSavedFrom(f io.ReadSeeker, url string, l *ledger, now time.Time, atMost time.Duration) (*savedHeader, error) {
	size, err := checkSaved(f)
	if err != nil {
		return nil, err
	}
	r := &savedReader{in: bufio.NewReaderSize(io.LimitReader(f, size), 1<<18)}
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	switch age := now.Sub(h.At); {
	case h.PuppetDB != url:
		return nil, fmt.Errorf("it is of PuppetDB %s, expected %s", h.PuppetDB, url)
	case age < 0:
		return nil, fmt.Errorf("it is of %s, which is yet to come", h.At.Format(time.RFC3339))
	case age > atMost:
		return nil, fmt.Errorf("it is %s old, expected %s at most", age.Round(time.Second), atMost)
	}
	return h, r.ledger(h, l)
}

// checkSaved compares the sum at the end with the rest, and gives the size of the rest.
func checkSaved(f io.ReadSeeker) (size int64, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	size = end - sha256.Size
	if size < int64(len(savedMagic)) {
		return 0, fmt.Errorf("it has %d bytes: %w", end, analyzer.ErrShort)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, size); err != nil {
		return 0, err
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f, want); err != nil {
		return 0, err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return 0, errors.New("its checksum is wrong: it is torn or damaged")
	}
	_, err = f.Seek(0, io.SeekStart)
	return size, err
}
