package image

import (
	"bytes"
	_ "crypto/sha512" // so that go-digest can check sha512 digests
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

const (
	maxDocument  = 16 << 20  // bytes of one manifest, index or config
	maxDocuments = 256 << 20 // bytes of all documents of an image together
)

// parseDigest accepts only digests that can be checked. They also name files, so nothing else may pass.
func parseDigest(s string) (digest.Digest, error) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", fmt.Errorf("digest %q: %w", s, err)
	}
	return d, nil
}

// verified checks the bytes of r against d while they are read. The caller must have parsed d.
func verified(r io.ReadCloser, d digest.Digest) io.ReadCloser {
	return &verifier{ReadCloser: r, hash: d.Algorithm().Hash(), want: d}
}

// verifier hashes what is read, and compares it if a digest is wanted.
type verifier struct {
	io.ReadCloser
	hash hash.Hash
	want digest.Digest
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF && v.want != "" {
		if got := digest.NewDigest(v.want.Algorithm(), v.hash); got != v.want {
			return n, fmt.Errorf("reading %s: %w: it is %s", v.want, ErrDigest, got)
		}
	}
	return n, err
}

// readDocument reads all of r, which may not be larger than a document.
func readDocument(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(b) > maxDocument {
		return nil, fmt.Errorf("reading %s: %w: over %d MiB", name, ErrTooLarge, maxDocument>>20)
	}
	return b, nil
}

// inMemory opens bytes that were verified when they were read.
func inMemory(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}
