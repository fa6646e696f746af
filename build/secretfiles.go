package build

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/secret"
)

// secretFiles are files with values, in memory where the system has a place for that.
//
// The folder has a lock beside it that is there first and goes last: a folder whose lock is free is one that a killed process left.
type secretFiles struct {
	dir    string
	unlock func()
	count  int
}

// memory is where Linux keeps files that are on no disk.
const memory = "/dev/shm"

const (
	secretFilesPrefix = "tightlip-files-"
	secretFilesLock   = ".lock"
)

// secretFilesParent is where folders of files with values are made.
func secretFilesParent() string {
	if isFolder(memory) {
		return memory
	}
	return os.TempDir()
}

func (f *secretFiles) add(v secret.Value) (path string, err error) {
	if f.dir == "" {
		if err := f.create(); err != nil {
			return "", err
		}
	}
	f.count++
	path = filepath.Join(f.dir, fmt.Sprintf("secret-%d", f.count))
	return path, os.WriteFile(path, v.Open(), 0o600)
}

func (f *secretFiles) create() (err error) {
	if _, err := ReapSecretFiles(); err != nil {
		return err
	}
	dir := filepath.Join(secretFilesParent(), secretFilesPrefix+strings.ToLower(rand.Text()))
	if f.unlock, err = lockfile.Lock(dir + secretFilesLock); err != nil {
		return err
	}
	f.dir = dir
	return os.Mkdir(dir, 0o700)
}

func (f *secretFiles) remove() error {
	if f.dir == "" {
		return nil
	}
	defer f.unlock()
	return errors.Join(os.RemoveAll(f.dir), os.Remove(f.dir+secretFilesLock))
}

// ReapSecretFiles removes the files with values that commands had whose tightlip was killed.
func ReapSecretFiles() (removed []Residue, err error) {
	locks, _ := filepath.Glob(filepath.Join(secretFilesParent(), secretFilesPrefix+"*"+secretFilesLock))
	for _, lock := range locks {
		if !ownFile(lock) {
			continue // of another user
		}
		unlock, lockErr := lockfile.Lock(lock)
		if lockErr != nil {
			continue // its command runs
		}
		f := &secretFiles{dir: strings.TrimSuffix(lock, secretFilesLock), unlock: unlock}
		if rerr := f.remove(); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) { // which is another reap's work
			err = errors.Join(err, rerr)
			continue
		}
		removed = append(removed, Residue{Kind: "folder", ID: f.dir})
	}
	return removed, err
}
