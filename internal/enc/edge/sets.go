package edge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/segments"
)

// setCache gives the bytes of sets: from the state directory, or from the store, checked either way. It
// opens the store once, when it is first needed.
type setCache struct {
	edge  *Edge
	ctx   context.Context
	store store.Store
	err   error
	tried bool
	// How many sets this run read from the store, and could not read from it.
	fetched, failed float64
}

func (c *setCache) open() (store.Store, error) {
	if !c.tried {
		c.tried = true
		c.store, c.err = c.edge.Store()
	}
	return c.store, c.err
}

func (c *setCache) get(digest string, count int) ([]byte, error) {
	path := filepath.Join(c.edge.Config.StateDir, lookup.SetsDir, digest)
	if data, err := os.ReadFile(path); err == nil && segments.CheckSet(digest, count, data) == nil {
		return data, nil
	}
	c.failed++ // until it is here
	s, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("set %s is not here and the store cannot be reached: %w", digest, err)
	}
	set, err := FetchSet(c.ctx, s, digest, count)
	if err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(path, set.Data, 0o644); err != nil {
		return nil, err
	}
	c.failed--
	c.fetched++
	return set.Data, nil
}

// FetchSet reads a published set from the store and checks it.
func FetchSet(ctx context.Context, s store.Store, digest string, count int) (segments.Set, error) {
	shards := make([][]byte, 0, count/segments.ShardLines+1)
	for n := range max(1, (count+segments.ShardLines-1)/segments.ShardLines) {
		entry, err := s.Get(ctx, SetKey(digest, n))
		if err != nil {
			return segments.Set{}, fmt.Errorf("set %s: %w", digest, err)
		}
		shards = append(shards, entry.Value)
	}
	return segments.JoinShards(digest, count, shards)
}

// FetchMember says whether a published set has a node, and reads only the shards where the node would be: two or three. The
// shape and order of what it reads are checked, not the digest of the whole, so it is for telling people, not for answering
// nodes.
func FetchMember(ctx context.Context, s store.Store, digest string, count int, print string) (bool, error) {
	place, err := strconv.ParseUint(print, 16, 64)
	if err != nil || len(print) != segments.Digits {
		return false, fmt.Errorf("set %s: %q is not a fingerprint", digest, print)
	}
	shards := (count + segments.ShardLines - 1) / segments.ShardLines
	low, high := 0, shards // it is in [low, high), if anywhere
	guess := int(float64(place) / (1 << 64) * float64(count) / segments.ShardLines)
	for low < high {
		n := min(max(guess, low), high-1)
		data, err := fetchShard(ctx, s, digest, count, n)
		if err != nil {
			return false, err
		}
		switch {
		case print < string(data[:segments.Digits]):
			high = n
		case print > string(data[len(data)-segments.LineWidth:len(data)-1]):
			low = n + 1
		default:
			return segments.Contains(bytes.NewReader(data), int64(len(data)), print)
		}
		if guess = n + 1; high == n { // fingerprints are spread evenly: it is next door
			guess = n - 1
		}
	}
	return false, nil
}

func fetchShard(ctx context.Context, s store.Store, digest string, count, n int) ([]byte, error) {
	entry, err := s.Get(ctx, SetKey(digest, n))
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", digest, err)
	}
	if want := min(segments.ShardLines, count-n*segments.ShardLines); len(entry.Value) != want*segments.LineWidth {
		return nil, fmt.Errorf("set %s: shard %d has %d bytes, expected %d members", digest, n, len(entry.Value), want)
	}
	for i := segments.LineWidth; i < len(entry.Value); i += segments.LineWidth {
		if string(entry.Value[i-segments.LineWidth:i-1]) >= string(entry.Value[i:i+segments.Digits]) {
			return nil, fmt.Errorf("set %s: shard %d is not in order", digest, n)
		}
	}
	return entry.Value, nil
}

// SetsPrefix is what keys of sets begin with.
const SetsPrefix = "enc/sets/"

// SetKey is the key of shard n of a set.
func SetKey(digest string, n int) string { return fmt.Sprintf("%s%s/%05d", SetsPrefix, digest, n) }

// dropSets removes sets that no document names any more; an hour later, since a lookup may have read the
// document before.
func (e *Edge) dropSets(prev, next enc.State) {
	dir := filepath.Join(e.Config.StateDir, lookup.SetsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	used := func(digest string) bool {
		return slices.ContainsFunc([]segments.Document{prev.Published, prev.Effective, next.Published, next.Effective},
			func(d segments.Document) bool { _, ok := d.Sets[digest]; return ok })
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && !used(entry.Name()) && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}
