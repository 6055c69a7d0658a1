// Command benchconsul measures how a change in a real Consul reaches many puppetservers: watchers that ask as
// consul-template does, blocking queries on the manifest and on people's flags, with the policy of an edge's template.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/consultest"
	"github.com/openinfrastructure/sluice/segments"
)

func main() {
	watchers := flag.Int("watchers", 200, "simulated puppetservers")
	trials := flag.Int("trials", 30, "changes of each kind")
	members := flag.Int("members", 1_000_000, "nodes in the set")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := run(ctx, *watchers, *trials, *members); err != nil {
		fmt.Fprintln(os.Stderr, "benchconsul:", err)
		os.Exit(1)
	}
}

// counter counts what comes in from Consul, headers left out.
type counter struct {
	next  http.RoundTripper
	bytes *atomic.Int64
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		resp.Body = counted{resp.Body, c.bytes}
	}
	return resp, err
}

type counted struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// site is a Consul with everything that edges watch in it.
type site struct {
	server        *consultest.Server
	leader, human store.Store
	template      string
	read          atomic.Int64
}

func run(ctx context.Context, watchers, trials, members int) (err error) {
	dir, err := os.MkdirTemp("", "benchconsul-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &site{}
	if s.server, err = consultest.StartDir(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	if err := s.prepare(ctx, members); err != nil {
		return err
	}
	fmt.Printf("%d watchers, %d trials, Consul %s\n\n", watchers, trials, s.server.Addr)
	fmt.Println("| change | reaches the last watcher after, median / p90 / most | bytes read by all watchers |")
	fmt.Println("| --- | --- | --- |")
	manifest := make([]byte, 4000)
	files := filepath.Join(dir, "rendered")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	real, err := startTemplate(ctx, files, s.server.Addr, s.template)
	if err != nil {
		return err
	}
	defer real.stop()
	for _, c := range []kind{
		{"a pause by a person", "flags/ntp/pause", func(i int) []byte { return fmt.Appendf(nil, "true %d.", i) }, s.human, "flags", 0},
		{"a step of a threshold (manifest of 4 kB)", "enc/manifest", func(i int) []byte { return append(fmt.Appendf(nil, "%08d", i), manifest...) }, s.leader, "manifest", 8},
	} {
		took, file, read, err := s.spread(ctx, watchers, trials, c, real)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("| %s | %s | %d |\n", c.name, spectrum(took), read)
		fmt.Printf("| the same, until the file of the real consul-template beside them has it | %s | |\n", spectrum(file))
	}
	return s.set(ctx, watchers, members)
}

// kind is a key that somebody changes, and the file that consul-template makes of it.
type kind struct {
	name, key string
	value     func(i int) []byte
	by        store.Store
	file      string
	mark      int // so many bytes of the value tell it from others, all if 0
}

func spectrum(took []time.Duration) string {
	return fmt.Sprintf("%s / %s / %s", ms(took[len(took)/2]), ms(took[len(took)*9/10]), ms(took[len(took)-1]))
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

func (s *site) prepare(ctx context.Context, members int) error {
	open := func(policy string) (store.Store, error) {
		token, err := s.server.Token(policy)
		if err != nil {
			return nil, err
		}
		return consul.New(consul.Config{Client: &api.Config{Address: s.server.Addr, Token: token}})
	}
	init, err := open("init")
	if err != nil {
		return err
	}
	if s.leader, err = open("leader"); err != nil {
		return err
	}
	if s.human, err = open("operator"); err != nil {
		return err
	}
	if s.template, err = s.server.Token("template"); err != nil {
		return err
	}
	return init.Txn(ctx, store.CAS("enc/manifest", []byte("{}"), 0), store.CAS("flags/freeze", []byte("false"), 0))
}

// spread changes a key again and again, and takes the time until every watcher has it, and until the file of the real
// consul-template does.
func (s *site) spread(ctx context.Context, watchers, trials int, c kind, real *rendered) (took, file []time.Duration, bytesEach int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	seen := make(chan []byte, 4*watchers)
	failed := make(chan error, 2*watchers)
	for range watchers {
		transport := &http.Transport{MaxIdleConnsPerHost: 2}
		client, err := api.NewClient(&api.Config{Address: s.server.Addr, Token: s.template, HttpClient: &http.Client{Transport: counter{transport, &s.read}}})
		if err != nil {
			return nil, nil, 0, err
		}
		context.AfterFunc(ctx, transport.CloseIdleConnections)
		for _, watched := range []string{"enc/manifest", "flags/"} {
			all.Go(func() {
				if err := watch(ctx, client.KV(), watched, c.key, seen); err != nil && ctx.Err() == nil {
					failed <- err
				}
			})
		}
	}
	time.Sleep(2 * time.Second) // everybody waits
	before := s.read.Load()
	for i := range trials {
		want := c.value(i)
		mark := want
		if c.mark > 0 {
			mark = want[:c.mark]
		}
		began := time.Now()
		if err := c.by.Txn(ctx, store.Set(c.key, want)); err != nil {
			return nil, nil, 0, err
		}
		has := make(chan error, 1)
		var there time.Duration
		go func() {
			err := real.wait(ctx, c.file, string(mark))
			there = time.Since(began)
			has <- err
		}()
		for n := 0; n < watchers; {
			select {
			case got := <-seen:
				if bytes.Equal(got, want) {
					n++
				}
			case err := <-failed:
				return nil, nil, 0, err
			case <-time.After(30 * time.Second):
				return nil, nil, 0, fmt.Errorf("%d of %d watchers saw change %d within 30 s", n, watchers, i)
			}
		}
		took = append(took, time.Since(began))
		if err := <-has; err != nil {
			return nil, nil, 0, err
		}
		file = append(file, there)
		time.Sleep(rand.N(400 * time.Millisecond))
	}
	slices.Sort(took)
	slices.Sort(file)
	return took, file, (s.read.Load() - before) / int64(trials), nil
}

// watch asks for one key or one prefix as consul-template does, and tells every value of the key in question.
func watch(ctx context.Context, kv *api.KV, watched, key string, seen chan<- []byte) error {
	var index uint64
	for ctx.Err() == nil {
		q := (&api.QueryOptions{WaitIndex: index, WaitTime: time.Minute}).WithContext(ctx)
		var pairs api.KVPairs
		var meta *api.QueryMeta
		var err error
		if watched == "flags/" {
			pairs, meta, err = kv.List("sluice/flags", q)
		} else {
			var pair *api.KVPair
			if pair, meta, err = kv.Get("sluice/"+watched, q); pair != nil {
				pairs = api.KVPairs{pair}
			}
		}
		if err != nil {
			return err
		}
		changed := index != meta.LastIndex
		if index = meta.LastIndex; !changed {
			continue
		}
		for _, p := range pairs {
			if p.Key == "sluice/"+key {
				select {
				case seen <- p.Value:
				case <-ctx.Done():
				}
			}
		}
	}
	return nil
}

// set publishes a large set and reads it as one edge does.
func (s *site) set(ctx context.Context, watchers, members int) error {
	names := make([]string, members)
	for i := range names {
		names[i] = fmt.Sprintf("n%07d.example.test", i)
	}
	set := segments.NewSet(names)
	began := time.Now()
	shards := set.Shards()
	for n, shard := range shards {
		if err := s.leader.Txn(ctx, store.Set(edge.SetKey(set.Digest, n), shard)); err != nil {
			return err
		}
	}
	wrote := time.Since(began)
	token, err := s.server.Token("edge-one")
	if err != nil {
		return err
	}
	var read atomic.Int64
	reader, err := consul.New(consul.Config{Client: &api.Config{Address: s.server.Addr, Token: token, HttpClient: &http.Client{Transport: counter{&http.Transport{}, &read}}}})
	if err != nil {
		return err
	}
	began = time.Now()
	if _, err := edge.FetchSet(ctx, reader, set.Digest, set.Count); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("\nA set of %d nodes: %d bytes in %d keys (%.2f bytes a node), written in %s. One edge reads %d bytes in %s (values come base64-encoded in JSON: %.2f times their size); %d edges read %.2f GB, once for each new set.\n",
		members, len(set.Data), len(shards), float64(len(set.Data))/float64(members), ms(wrote), read.Load(), ms(took), float64(read.Load())/float64(len(set.Data)), watchers, float64(read.Load())*float64(watchers)/1e9)
	return nil
}
