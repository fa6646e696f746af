package buildkit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bx "github.com/docker/buildx/build"
)

// keepInput stores a context from standard input where it can be read once more, to export the cache.
func (r *result) keepInput(o *bx.Options) error {
	if r.job.Request.Context != "-" || len(r.cacheTo) == 0 {
		return nil
	}
	f, err := os.OpenFile(r.keptInput(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, o.Inputs.InStream.NewReadCloser()); err != nil {
		f.Close()
		return fmt.Errorf("reading the context from standard input: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	in, err := r.inputAgain()
	o.Inputs.InStream = bx.NewSyncMultiReader(in)
	return err
}

func (r *result) keptInput() string { return filepath.Join(r.job.Stage, "input") }

// inputAgain is what standard input held. The descriptor of a file goes with the process.
func (r *result) inputAgain() (io.Reader, error) {
	switch {
	case r.job.Request.Context == "-":
		return os.Open(r.keptInput())
	case r.job.Request.File == "-":
		return bytes.NewReader(r.job.Dockerfile), nil
	}
	return bytes.NewReader(nil), nil
}
