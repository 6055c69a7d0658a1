package dir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

// identity is what changes with every write that a file system knows of.
type identity struct {
	inode        uint64
	size         int64
	mtime, ctime int64 // ns
}

// cached is a version, and the value where it is small, with what the file was when it was read.
type cached struct {
	identity
	value   []byte
	version uint64
}

// smallValue is what is kept in memory. The shards of sets are larger, and read once.
const smallValue = 16 << 10

// settled is how old a change must be for its time to be believed: a second one within one tick of the kernel's clock
// could not be told from the first.
const settled = 100 * time.Millisecond

// entry reads one key, with its value.
func (s *Store) entry(key string) (store.Entry, bool, error) {
	rel := pathOf(key)
	info, err := os.Lstat(filepath.Join(s.root, rel))
	switch {
	case missing(err):
		return store.Entry{}, false, nil
	case err != nil:
		return store.Entry{}, false, err
	case info.IsDir():
		rel = filepath.Join(rel, self)
	}
	return s.file(rel, key, true)
}

// missing: not there, or a file stands where its directory would be.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// file reads one file. What is no plain file of a sensible size is there all the same, with a value that says so and
// that no reader takes for anything: an unreadable pause is a pause.
func (s *Store) file(rel, key string, withValue bool) (store.Entry, bool, error) {
	path := filepath.Join(s.root, rel)
	info, err := os.Lstat(path)
	switch {
	case missing(err):
		s.forget(rel)
		return store.Entry{}, false, nil
	case err != nil:
		return store.Entry{}, false, err
	case !info.Mode().IsRegular():
		return unreadable(key, info, fmt.Sprintf("%s is no plain file (%s)", path, info.Mode().Type())), true, nil
	case info.Size() > 10*store.MaxValue:
		return unreadable(key, info, fmt.Sprintf("%s has %d bytes", path, info.Size())), true, nil
	}
	id := identify(info)
	s.mu.Lock()
	c, known := s.cache[rel]
	s.mu.Unlock()
	if known && c.identity == id && (!withValue || id.size <= smallValue) {
		return store.Entry{Key: key, Value: bytes.Clone(c.value), Version: c.version}, true, nil
	}
	value, err := os.ReadFile(path)
	if missing(err) {
		return store.Entry{}, false, nil
	}
	if err != nil {
		return store.Entry{}, false, err
	}
	version := versionOf(id.mtime, value)
	if time.Now().UnixNano()-id.ctime > int64(settled) {
		s.mu.Lock()
		c := cached{identity: id, version: version}
		if id.size <= smallValue {
			c.value = bytes.Clone(value)
		}
		s.cache[rel] = c
		s.mu.Unlock()
	}
	return store.Entry{Key: key, Value: value, Version: version}, true, nil
}

func (s *Store) forget(rel string) {
	s.mu.Lock()
	delete(s.cache, rel)
	s.mu.Unlock()
}

func unreadable(key string, info fs.FileInfo, why string) store.Entry {
	value := []byte("unreadable: " + why)
	return store.Entry{Key: key, Value: value, Version: versionOf(info.ModTime().UnixNano(), value)}
}

func identify(info fs.FileInfo) identity {
	id := identity{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.inode, id.ctime = st.Ino, st.Ctim.Nano()
	}
	return id
}

// versionOf is made of the time of the write, which a transaction makes unique, and of the content, so that an edit by
// hand is a new version whatever it does to the time.
func versionOf(mtime int64, value []byte) uint64 {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, mtime)
	h.Write(value)
	return max(1, binary.BigEndian.Uint64(h.Sum(nil)))
}
