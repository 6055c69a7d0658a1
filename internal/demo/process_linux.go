package demo

import "syscall"

// apart puts a program into a group of its own, and ends it should the demo be killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
