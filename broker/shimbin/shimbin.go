// Package shimbin holds the shim for each architecture that builders run on.
package shimbin

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"slices"
)

// Architectures are those that make shim builds the shim for, as GOARCH and image platforms call them.
var Architectures = []string{"amd64", "arm64"}

//go:embed bin/*
var bin embed.FS

// MissingError says that this tightlip has no shim for an architecture.
type MissingError struct{ Arch string }

// Error implements error.
func (e *MissingError) Error() string {
	if !slices.Contains(Architectures, e.Arch) {
		return fmt.Sprintf("tightlip has no shim for builders of the architecture %q", e.Arch)
	}
	return "this tightlip was built without its shim for " + e.Arch
}

// Hint is what to type instead, or "".
func (e *MissingError) Hint() string {
	if !slices.Contains(Architectures, e.Arch) {
		return ""
	}
	return "make shim, then build tightlip again"
}

// For returns the shim for Linux on an architecture. A *MissingError if there is none.
func For(arch string) ([]byte, error) {
	packed, err := bin.ReadFile("bin/shim-linux-" + arch + ".gz")
	if err != nil {
		return nil, &MissingError{Arch: arch}
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the shim: %w", err)
	}
	program, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpacking the shim: %w", err)
	}
	return program, nil
}
