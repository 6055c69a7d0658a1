package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports are taken below the kernel's ephemeral range, where no outgoing connection can get one between our look and the
// daemon's bind, or while a stopped daemon is down.
const firstPort, lastPort = 20000, 31999

// portLease holds ports against other stacks on this machine by a lock per port. The kernel drops the locks of a process
// that dies.
type portLease struct {
	locks []*os.File
}

// take leases a port that nobody listens on.
func (l *portLease) take() (int, error) {
	dir := filepath.Join(os.TempDir(), "sluice-e2e-ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return 0, err
		}
		if errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), unused(port)) != nil {
			_ = lock.Close()
			continue
		}
		l.locks = append(l.locks, lock)
		return port, nil
	}
	return 0, fmt.Errorf("no free port from %d to %d in 200 tries", firstPort, lastPort)
}

func unused(port int) error {
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return ln.Close()
}

func (l *portLease) release() {
	for _, lock := range l.locks {
		_ = lock.Close()
	}
	l.locks = nil
}
