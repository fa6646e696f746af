// Package file finds secrets in files, whole or by key.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/secret"
)

// Source resolves file:PATH and file:PATH#KEY.
//
// PATH may begin with ~/ for the home directory; variables in it are not expanded, and \# stands for #. Without KEY the
// value is the file's bytes as they are, a trailing newline included, as docker does. With KEY, the file is JSON, YAML,
// TOML, INI or dotenv by its content, and KEY is a key of it, or keys and the numbers of list items from 0 joined by dots; of keys
// that contain dots the longest wins. A file of more than [secret.MaxSize] bytes is an error.
type Source struct {
	// Dir is where relative paths start. Empty: the working directory.
	Dir string
}

// Scheme implements secret.Source.
func (Source) Scheme() string { return secret.SchemeFile }

// Resolve implements secret.Source.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, key, hasKey := ref.File()
	if path == "" || hasKey && key == "" {
		return nil, &secret.ResolveError{
			Ref: ref, Problem: fmt.Sprintf("%s lacks its path or its key", ref), Try: "write file:PATH or file:PATH#KEY",
		}
	}
	value, err := s.Read(ctx, ref, path)
	if err != nil {
		return nil, err
	}
	if hasKey {
		if value, err = Select(ref, path, value, key); err != nil {
			return nil, err
		}
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

// Rereadable implements secret.Rereadable. A pipe has its value once.
func (s Source) Rereadable(ref secret.Ref) bool {
	path, _, _ := ref.File()
	located, err := s.Locate(path)
	if err != nil {
		return false
	}
	info, err := os.Stat(located)
	return err == nil && info.Mode().IsRegular()
}

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{
		Form: "file:PATH or file:PATH#KEY", What: "a file, or a key of one that is JSON, YAML, TOML, INI or dotenv", Example: "file:.env#NPM_TOKEN",
	}
}

// Read seals the file at the path that is in ref, for other sources that look into files, too.
func (s Source) Read(ctx context.Context, ref secret.Ref, path string) (secret.Value, error) {
	located, err := s.Locate(path)
	if err != nil {
		return secret.Value{}, explain(ref, path, err)
	}
	value, err := secret.Read(ctx, func() (io.ReadCloser, error) { return open(located) })
	if err != nil {
		return secret.Value{}, explain(ref, path, err)
	}
	return value, nil
}

// Select is what key stands for in the content of the file at path.
func Select(ref secret.Ref, path string, content secret.Value, key string) (secret.Value, error) {
	value, err := selectKey(path, content, key)
	if err != nil {
		return secret.Value{}, explainKey(ref, path, err)
	}
	return value, nil
}

// Locate turns the path of a reference into one the system understands.
func (s Source) Locate(path string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the home directory: %w", err)
		}
		return filepath.Join(home, path[1:]), nil
	}
	if filepath.IsAbs(path) {
		return path, nil
	}
	return filepath.Join(s.Dir, path), nil
}

var errIsDir = errors.New("is a directory")

func open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errIsDir
	}
	if err != nil {
		_ = f.Close() // nothing was read from it
		return nil, err
	}
	return f, nil
}

// explain names the file as the user wrote it.
func explain(ref secret.Ref, path string, err error) error {
	re := &secret.ResolveError{Ref: ref, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		re.Problem, re.Try, re.Err = "file "+path+" does not exist", "check the path", secret.ErrNotFound
		if strings.HasPrefix(path, "./~/") {
			re.Try = "src= does not expand ~: write from=file:" + strings.TrimPrefix(path, "./") + " instead"
		}
	case errors.Is(err, secret.ErrEmpty):
		re.Problem = "file " + path + " is empty"
	case errors.Is(err, errIsDir):
		re.Problem, re.Try = path+" is a directory", "name a file in it"
	case errors.Is(err, fs.ErrPermission):
		re.Problem, re.Try = "file "+path+" cannot be read: permission denied", "check ls -l "+path
	default:
		re.Problem = "file " + path + ": " + reason(err)
	}
	return re
}

// reason is the text of err without the path, which may have been expanded.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func explainKey(ref secret.Ref, path string, err error) error {
	re := &secret.ResolveError{Ref: ref, Problem: "file " + path + ": " + err.Error(), Err: err}
	if ke, ok := errors.AsType[*KeyError](err); ok {
		re.Try = ke.Try
	}
	return re
}
