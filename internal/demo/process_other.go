//go:build !linux

package demo

import "syscall"

// apart puts a program into a group of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
