package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/tightlip/tightlip/finding"
)

// stream is an image archive that can only be read from start to end.
type stream struct {
	ref   string
	open  func(ctx context.Context) (io.ReadCloser, error)
	known []role  // of each member, nil if the documents are yet to come
	lacks []entry // what is missing of it: see Options.Partial
	close func() error
	saved bool   // by a daemon
	stamp string // of the file it is in

	mu     sync.Mutex
	layout Layout
}

func (s *stream) Ref() string { return s.ref }

func (s *stream) Close() error { return s.close() }

// Covered tells whether the layout's digest stands for all there is of the image. In a daemon it does; elsewhere, documents
// that refer to the image can be added at any time.
func (s *stream) Covered() bool { return s.saved }

func (s *stream) Layout(context.Context) (Layout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.layout, nil
}

func (s *stream) Blobs(ctx context.Context) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		r, err := s.open(ctx)
		if err != nil {
			yield(Blob{}, fmt.Errorf("reading %s: %w", s.ref, err))
			return
		}
		defer r.Close()
		p := &pass{stream: s, archive: newArchive(), tar: tar.NewReader(r), yield: yield}
		err = p.run()
		if err == nil {
			// What follows the archive has no content, but the end of a damaged stream is an error too.
			_, err = io.Copy(io.Discard, ctxReader{ctx, r})
		}
		if err == nil && s.known == nil {
			err = p.conclude(ctx)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Blob{}, fmt.Errorf("reading %s: %w", s.ref, err))
		}
		for i := 0; err == nil && i < len(s.lacks); i++ {
			if !yield(s.lacks[i].blob(ctx), nil) {
				return
			}
		}
	}
}

var errChanged = errors.New("the file changed while it was read")

// pass is one reading of a stream.
type pass struct {
	*stream
	archive *archive
	tar     *tar.Reader
	yield   func(Blob, error) bool
	yielded []role
}

func (p *pass) run() error {
	for {
		h, err := p.tar.Next()
		if err == io.EOF {
			if p.known != nil && len(p.yielded) != len(p.known) {
				return errChanged
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d entries: %w", len(p.yielded), err)
		}
		m, head, err := p.archive.add(h, p.tar, -1)
		if err != nil {
			return err
		}
		if p.archive.tooMany {
			return fmt.Errorf("%w: an image archive with more than %d entries", ErrTooLarge, maxMembers)
		}
		if err := p.member(m, head); err != nil {
			return err
		}
	}
}

// member yields one member, of which head was read already.
func (p *pass) member(m *member, head []byte) error {
	r, err := p.role(m, head)
	if err != nil {
		return err
	}
	p.yielded = append(p.yielded, r)
	b := m.blob(r)
	b.Stamp = p.stamp
	if int64(len(head)) == m.size {
		if b.Digest == "" && b.Kind == finding.InConfig { // archives of Docker before 25 name it otherwise
			b.Digest = digest.FromBytes(head).String()
		}
		b.Open = func() (io.ReadCloser, error) { return check(bytes.NewReader(head), r.digest), nil }
		if !p.yield(b, nil) {
			return errStop
		}
		m.sum = digest.FromBytes(head)
		return nil
	}
	body := &sequential{r: check(io.MultiReader(bytes.NewReader(head), p.tar), r.digest)}
	b.Sequential = true
	b.Open = body.open
	if !p.yield(b, nil) {
		return errStop
	}
	return body.finish(m, r.digest == "")
}

// role is known from an earlier pass, or guessed.
func (p *pass) role(m *member, head []byte) (role, error) {
	if p.known == nil {
		return guess(m, head), nil
	}
	i := len(p.yielded)
	if i >= len(p.known) {
		return role{}, errChanged
	}
	return p.known[i], nil
}

// conclude holds the guesses against the documents, which are all there now.
func (p *pass) conclude(ctx context.Context) error {
	roles, layout, ok, err := p.archive.roles(ctx, Options{})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it is not an image archive")
	}
	for i, r := range roles {
		m := p.archive.members[i]
		if r.mustUnpack && !p.yielded[i].mustUnpack {
			return fmt.Errorf("layer %s: %w", m.name, ErrNotTar)
		}
		if stated := diffIDAt(layout, m.name); stated != "" && m.sum != "" && !m.compressed && stated != m.sum {
			return fmt.Errorf("layer %s: %w: it is %s", m.name, ErrDigest, m.sum)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Only the daemon knows what it calls the image: it was saved by ID, without its names.
	layout.Digest, layout.MediaType, layout.Names = p.layout.Digest, p.layout.MediaType, p.layout.Names
	p.layout = layout
	return nil
}

// diffIDAt is the diff ID of the layer in an archive member.
func diffIDAt(l Layout, path string) digest.Digest {
	for _, p := range l.Platforms {
		for _, layer := range p.Layers {
			if layer.Path == path {
				return digest.Digest(layer.DiffID)
			}
		}
	}
	return ""
}

// check verifies the bytes of r, or computes their digest if none is wanted.
func check(r io.Reader, want digest.Digest) *verifier {
	algorithm := digest.Canonical
	if want != "" {
		algorithm = want.Algorithm()
	}
	return &verifier{ReadCloser: io.NopCloser(r), hash: algorithm.Hash(), want: want}
}

// sequential is the part of a stream that is one member. It can be opened once, until the stream goes on.
type sequential struct {
	r      *verifier
	opened bool
	passed bool
}

func (s *sequential) open() (io.ReadCloser, error) {
	if s.opened || s.passed {
		return nil, ErrPassed
	}
	s.opened = true
	return s, nil
}

func (s *sequential) Read(p []byte) (int, error) {
	if s.passed {
		return 0, ErrPassed
	}
	return s.r.Read(p)
}

func (s *sequential) Close() error { return nil }

// finish ends the member's time. If nothing stated its digest, the rest is read to compute it.
func (s *sequential) finish(m *member, sum bool) error {
	s.passed = true
	if !sum {
		return nil
	}
	if _, err := io.Copy(io.Discard, s.r); err != nil {
		return err
	}
	m.sum = digest.NewDigest(digest.Canonical, s.r.hash)
	return nil
}
