package daemon

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/openinfrastructure/sluice/analyzer"
)

// savedReader reads a file whose sum is right; what it says is checked all the same.
type savedReader struct {
	in  *bufio.Reader
	buf []byte
}

const (
	longestText = 1 << 16
	longestJSON = 64 << 20
)

// bytes reads n bytes; they are good until the next call.
func (r *savedReader) bytes(n int) ([]byte, error) {
	for have := 0; have < n; { // no more room than there are bytes for
		part := min(n-have, 1<<20)
		if len(r.buf) < have+part {
			r.buf = append(r.buf[:have], make([]byte, part)...)
		}
		if _, err := io.ReadFull(r.in, r.buf[have:have+part]); err != nil {
			return nil, short(err)
		}
		have += part
	}
	return r.buf[:n], nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return analyzer.ErrShort
	}
	return err
}

func (r *savedReader) sized(longest uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return nil, short(err)
	}
	if n > longest {
		return nil, fmt.Errorf("a part of %d bytes, expected %d at most", n, longest)
	}
	return r.bytes(int(n))
}

func (r *savedReader) json(v any) error {
	data, err := r.sized(longestJSON)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func (r *savedReader) header() (*savedHeader, error) {
	magic, err := r.bytes(len(savedMagic))
	if err != nil {
		return nil, err
	}
	if string(magic) != savedMagic {
		return nil, fmt.Errorf("it begins with %.20q, expected %q: it is of another version, or no such file", magic, savedMagic)
	}
	h := &savedHeader{}
	if err := r.json(h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Nodes < 0 || h.Trouble < 0 || h.Courses < 0 || len(h.Envs) >= sharedEnv {
		return nil, fmt.Errorf("header: %d nodes, %d troubled, %d rollouts, %d environments", h.Nodes, h.Trouble, h.Courses, len(h.Envs))
	}
	return h, nil
}

// ledger reads all that comes after the header.
func (r *savedReader) ledger(h *savedHeader, l *ledger) error {
	for i, name := range h.Envs {
		l.envs[name] = uint16(i + 1)
	}
	if len(l.envs) != len(h.Envs) {
		return errors.New("header: an environment is there twice")
	}
	for id := range h.Nodes {
		if err := r.node(l, id, min(h.Nodes, max(1024, 2*id))); err != nil {
			return fmt.Errorf("node %d: %w", id, err)
		}
	}
	for range h.Trouble {
		var t savedTrouble
		if err := r.json(&t); err != nil {
			return fmt.Errorf("troubled nodes: %w", err)
		}
		if int(t.Node) >= h.Nodes || len(t.Runs) == 0 {
			return fmt.Errorf("troubled node %d of %d, with %d runs", t.Node, h.Nodes, len(t.Runs))
		}
		for i := range t.Runs {
			t.Runs[i].Certname = l.names.list[t.Node]
		}
		l.trouble[t.Node] = t.Runs
	}
	for hash, id := range h.Missing {
		if int(id) >= h.Nodes {
			return fmt.Errorf("report %s is of node %d of %d", hash, id, h.Nodes)
		}
		l.missing[hash] = id
	}
	for range h.Courses {
		name, c, err := r.course(l)
		if err != nil {
			return fmt.Errorf("rollout %q: %w", name, err)
		}
		l.saved[name] = c
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the last rollout")
	}
	return nil
}

// node reads one; room is for how many nodes there should be room by now.
func (r *savedReader) node(l *ledger, id, room int) error {
	name, err := r.sized(longestText)
	if err != nil {
		return err
	}
	certname := string(name)
	if _, twice := l.names.find(certname); twice || certname == "" {
		return fmt.Errorf("certname %q: expected one that was not there before", certname)
	}
	if len(l.recent) == cap(l.recent) { // each time moves all that is there
		l.room(room - len(l.recent))
	}
	l.id(certname)
	seen, err := r.bytes(8)
	if err != nil {
		return err
	}
	l.seen[id] = int64(binary.LittleEndian.Uint64(seen))
	n, err := r.in.Peek(1)
	if err != nil {
		return short(err)
	}
	runs, err := r.bytes(1 + int(n[0])*analyzer.RunSize)
	if err != nil {
		return err
	}
	_, err = l.recent[id].CutBinary(runs)
	return err
}
