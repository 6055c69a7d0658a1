package consultest

import "syscall"

// dieWithParent ends the server when a test binary dies without its cleanups, as at
// a test timeout.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
