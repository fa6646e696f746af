package podman

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// killSteps kills the processes whose files of a container are in the folder of a build: its steps.
func killSteps(dir string) {
	for range 20 {
		if !signalSteps(dir) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func signalSteps(dir string) (found bool) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && isStep(p, dir) {
			found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
		}
	}
	return found
}

// containerFiles are what each container gets from the folder of its build.
var containerFiles = []string{"/run/.containerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

// isStep looks into a process's table of mounts: "ID parent device root mountpoint …". The root is a path in its file system, which
// may be mounted anywhere, but the folder's name is unique.
func isStep(process, dir string) bool {
	mounts, err := os.ReadFile(filepath.Join(process, "mountinfo"))
	if err != nil {
		return false
	}
	name := []byte("/" + filepath.Base(dir) + "/")
	for line := range bytes.Lines(mounts) {
		fields := bytes.Fields(line)
		if len(fields) > 4 && bytes.Contains(fields[3], name) && slices.Contains(containerFiles, string(fields[4])) {
			return true
		}
	}
	return false
}
