package proc

import "syscall"

// dieWithParent makes a program end with the process that starts it.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
