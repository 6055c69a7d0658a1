package dir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

const (
	journalFile   = "journal"
	journalFormat = 1
)

// journal is a transaction that has happened and may not be in place yet. Doing its steps again changes nothing.
type journal struct {
	Format int    `json:"format"`
	Steps  []step `json:"steps"`
}

// step moves a staged file to its path, or, without one, removes what is there.
type step struct {
	Path  string `json:"path,omitempty"`  // relative to the root
	File  string `json:"file,omitempty"`  // staged; "" = remove
	Lease string `json:"lease,omitempty"` // record of a lease that ends with its key
}

func (s *Store) journal() string { return filepath.Join(s.root, private, journalFile) }

// pending says whether a transaction was cut off after it had happened.
func (s *Store) pending() bool { return exists(s.journal()) }

// commit writes the journal, and then does what it says.
func (s *Store) commit(j journal) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(s.journal(), data, 0o664); err != nil { // synced before it is renamed
		return err
	}
	if err := syncDir(filepath.Join(s.root, private)); err != nil {
		return err
	}
	if err := s.crash("committed"); err != nil {
		return err
	}
	return s.carryOut(j)
}

// replay finishes what was cut off. The caller holds the lock.
func (s *Store) replay() error {
	data, err := os.ReadFile(s.journal())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var j journal
	if err := json.Unmarshal(data, &j); err != nil || j.Format != journalFormat {
		return fmt.Errorf("%s cannot be read (format %d, %v): a person has to look at it and remove it", s.journal(), j.Format, err)
	}
	return s.carryOut(j)
}

func (s *Store) carryOut(j journal) error {
	touched := map[string]bool{}
	for i, st := range j.Steps {
		if err := s.do(st, touched); err != nil {
			return err
		}
		if err := s.crash(fmt.Sprintf("step %d", i)); err != nil {
			return err
		}
	}
	for d := range touched {
		if err := syncDir(d); err != nil && !missing(err) {
			return err
		}
	}
	if err := os.Remove(s.journal()); err != nil {
		return err
	}
	return syncDir(filepath.Join(s.root, private))
}

func (s *Store) do(st step, touched map[string]bool) error {
	switch {
	case st.Lease != "":
		return removed(os.Remove(filepath.Join(s.root, private, "leases", filepath.Base(st.Lease))))
	case !inside(st.Path):
		return fmt.Errorf("%s names %q, which is not in the directory", s.journal(), st.Path)
	case st.File == "":
		return s.remove(st.Path, touched)
	}
	return s.place(st, touched)
}

// place moves a staged file to where its key is. One that is not staged any more is there already.
func (s *Store) place(st step, touched map[string]bool) error {
	from := s.staged(filepath.Base(st.File))
	if !exists(from) {
		return nil
	}
	to := filepath.Join(s.root, st.Path)
	if err := s.directories(filepath.Dir(to), touched); err != nil {
		return err
	}
	if info, err := os.Lstat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, self)
	}
	s.forgetPath(to)
	touched[filepath.Dir(to)] = true
	return os.Rename(from, to)
}

// directories makes a directory and its parents. A file that is in the way is the value of a key with keys below it: it
// moves into the directory, in steps that can be taken up again after each.
func (s *Store) directories(path string, touched map[string]bool) error {
	if path == s.root {
		return nil
	}
	if err := s.directories(filepath.Dir(path), touched); err != nil {
		return err
	}
	rel, err := filepath.Rel(s.root, path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(rel))
	aside := s.staged("aside-" + hex.EncodeToString(sum[:]))
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		s.forget(rel)
		if err := os.Rename(path, aside); err != nil {
			return err
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		touched[filepath.Dir(path)] = true
		err = os.Mkdir(path, 0o775)
	}
	if err != nil || !exists(aside) {
		return err
	}
	touched[path] = true
	return os.Rename(aside, filepath.Join(path, self))
}

// remove takes a key away, and directories that are empty then.
func (s *Store) remove(rel string, touched map[string]bool) error {
	path := filepath.Join(s.root, rel)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, self)
	}
	s.forgetPath(path)
	if err := removed(os.Remove(path)); err != nil {
		return err
	}
	for d := filepath.Dir(path); d != s.root; d = filepath.Dir(d) {
		touched[d] = true
		// flags/ and the like stay, for people to write into.
		if filepath.Dir(d) == s.root || os.Remove(d) != nil {
			break
		}
	}
	return nil
}

func removed(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

func (s *Store) forgetPath(path string) {
	if rel, err := filepath.Rel(s.root, path); err == nil {
		s.forget(rel)
	}
}
