package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const digestsFile = "code.json"

// digest is what is known of an environment's files. Content is made again only when Stat has changed, so an environment
// that nobody touches costs a walk and no reading.
type digest struct {
	Stat    string `json:"stat"`    // of names, sizes, times and inodes
	Content string `json:"content"` // of names and content: the same on every puppetserver with the same code
}

// digestOf gives the digest of the environment in dir, prev being the one from before. Names that begin with a dot are
// left out: repositories, the tools' own files and generated types differ between hosts with the same code.
func digestOf(dir string, prev digest) (digest, error) {
	stat, err := walk(dir, func(h hash.Hash, path string, info fs.FileInfo) error {
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: no inode", path)
		}
		_, err := fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano(), s.Ctim.Nano(), s.Ino)
		return err
	})
	if err != nil || stat == prev.Stat {
		return prev, err
	}
	content, err := walk(dir, func(h hash.Hash, path string, _ fs.FileInfo) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%x\n", sum.Sum(nil))
		return err
	})
	return digest{Stat: stat, Content: content}, err
}

// walk digests the names of all files below dir, in order, with what each adds of a regular file. A symbolic link is
// its target's name.
func walk(dir string, add func(h hash.Hash, path string, info fs.FileInfo) error) (string, error) {
	root, err := filepath.EvalSymlinks(dir) // an environment may be a link to a versioned directory
	if err != nil {
		return "", err
	}
	h := sha256.New()
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %v\n", strings.TrimPrefix(path, root), info.Mode().Type()|info.Mode().Perm()&0o100)
		switch {
		case info.Mode().IsRegular():
			return add(h, path, info)
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			fmt.Fprintf(h, "%q\n", target)
			return err
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// readDigests gives what the run before knew; lost, it is made again.
func (e *Edge) readDigests() map[string]digest {
	digests := map[string]digest{}
	data, err := os.ReadFile(filepath.Join(e.Config.StateDir, digestsFile))
	if err != nil || json.Unmarshal(data, &digests) != nil || digests == nil {
		return map[string]digest{}
	}
	return digests
}

// keepDigests forgets environments that no document names.
func (e *Edge) keepDigests(digests map[string]digest, named map[string]string) {
	if e.Config.Code.Identity != identityContent {
		return
	}
	for environment := range digests {
		if _, ok := named[environment]; !ok {
			delete(digests, environment)
		}
	}
	_ = e.writeJSON(digestsFile, digests)
}
