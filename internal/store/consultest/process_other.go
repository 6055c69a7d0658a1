//go:build !linux

package consultest

import "syscall"

// dieWithParent has nothing to ask for outside Linux.
func dieWithParent() *syscall.SysProcAttr { return nil }
