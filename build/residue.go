package build

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tightlip/tightlip/internal/lockfile"
)

// Residue is what a build that is killed leaves outside of its own folder.
type Residue struct {
	Kind  string `json:"kind"`  // such as DockerImage
	Where string `json:"where"` // such as the daemon's address
	ID    string `json:"id"`
}

// The kinds of residue that a Docker daemon has.
const (
	DockerImage     = "docker image" // without a name
	DockerContainer = "docker container"
)

// String is for messages.
func (r Residue) String() string { return r.Kind + " " + r.ID }

const residueName = "residue"

// Note writes down what has to be removed if the build is killed. A build that ends removes it by itself.
func (j Job) Note(r Residue) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(j.Stage, residueName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// Settle forgets what was noted, once all of it is removed or has a name.
func (j Job) Settle() error {
	err := os.Remove(filepath.Join(j.Stage, residueName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Keep puts what was noted where Reap finds it when the build's own folder is gone: it could not be removed.
func (j Job) Keep() error {
	dir, err := os.MkdirTemp(filepath.Dir(j.Stage), "build-*")
	if err != nil {
		return err
	}
	return os.Rename(filepath.Join(j.Stage, residueName), filepath.Join(dir, residueName))
}

// Reap removes what builds left that were killed: their folders below stageDir, and with remove what they noted. A residue that is
// gone already is none to remove. What cannot be removed is kept for the next time, and is the error.
func Reap(ctx context.Context, stageDir string, remove func(context.Context, Residue) error) (removed []Residue, err error) {
	dirs, _ := filepath.Glob(filepath.Join(stageDir, "build-*"))
	for _, dir := range dirs {
		unlock, lockErr := lockfile.Lock(filepath.Join(dir, lockName))
		if lockErr != nil {
			continue // its build runs
		}
		gone, reapErr := reapFolder(ctx, dir, remove)
		removed = append(removed, gone...)
		err = errors.Join(err, reapErr)
		unlock()
	}
	return removed, err
}

func reapFolder(ctx context.Context, dir string, remove func(context.Context, Residue) error) (removed []Residue, err error) {
	list, err := residues(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, r := range slices.Backward(list) { // a container before its image
		if err := remove(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("removing the %s: %w", r, err))
			continue
		}
		removed = append(removed, r)
	}
	if len(errs) > 0 {
		return removed, errors.Join(errs...)
	}
	if err := RemoveAll(dir); err != nil {
		return removed, err
	}
	return append(removed, Residue{Kind: "folder", ID: dir}), nil
}

// residues reads what a build noted. A last line that is not whole was written as the build was killed.
func residues(dir string) ([]Residue, error) {
	f, err := os.Open(filepath.Join(dir, residueName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []Residue
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r Residue
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			list = append(list, r)
		}
	}
	return list, lines.Err()
}
