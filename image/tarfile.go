package image

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/tightlip/tightlip/finding"
)

// OpenTar opens an archive file: a Docker archive of either style or an OCI archive, possibly compressed as a whole,
// and otherwise the tar of a root file system, whose only blob is the file itself. Every entry of an image archive is
// a blob, also what no document leads to. The blobs of a compressed archive are Sequential.
func OpenTar(ctx context.Context, file string, opts Options) (Image, error) {
	im, err := openTar(ctx, file, opts)
	if err != nil {
		return nil, fmt.Errorf("opening tar:%s: %w", file, err)
	}
	return im, nil
}

func openTar(ctx context.Context, file string, opts Options) (im Image, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", file)
	}
	t := tarFile{ref: Ref{Scheme: Tar, Name: file}.String(), file: f, size: fi.Size(), opts: opts}
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if t.compression = compression(head[:n]); t.compression != "" {
		return t.compressed(ctx)
	}
	return t.plain(ctx)
}

// tarFile is an archive file while it is being opened.
type tarFile struct {
	ref         string
	file        *os.File
	size        int64
	compression string
	opts        Options
}

// plain opens an archive whose entries can be read where they are.
func (t tarFile) plain(ctx context.Context) (Image, error) {
	r := ctxSeeker{ctx, t.file}
	a, err := readArchive(r, func() (int64, error) { return t.file.Seek(0, io.SeekCurrent) })
	if err != nil {
		return nil, err
	}
	roles, layout, ok, err := a.roles(ctx, t.opts)
	if err != nil {
		return nil, err
	}
	if !ok {
		return t.rootFS(a)
	}
	im := &static{ref: t.ref, layout: layout, close: t.file.Close}
	for i, m := range a.members {
		if roles[i].mustUnpack && roles[i].digest == "" {
			if roles[i].digest, err = digest.FromReader(t.section(m)); err != nil {
				return nil, err
			}
			layout.setDigest(m.name, roles[i].digest)
		}
		b := m.blob(roles[i])
		b.Stamp = stamp(t.file.Name())
		im.entries = append(im.entries, entry{Blob: b, open: t.open(m, roles[i])})
	}
	im.entries = append(im.entries, a.missing...)
	return im, nil
}

func (t tarFile) section(m member) io.Reader { return io.NewSectionReader(t.file, m.offset, m.size) }

func (t tarFile) open(m member, r role) opener {
	return func(context.Context) (io.ReadCloser, error) {
		body := io.NopCloser(t.section(m))
		if r.digest == "" {
			return body, nil
		}
		return verified(body, r.digest), nil
	}
}

// rootFS is the file as a single blob. One without entries is more likely what a failed command left.
func (t tarFile) rootFS(a *archive) (Image, error) {
	if len(a.members) == 0 {
		return nil, fmt.Errorf("%w: it has no entries", ErrNotTar)
	}
	b := Blob{Kind: finding.InFile, Path: filepath.Base(t.file.Name()), Size: t.size, MustUnpack: true}
	open := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(t.file, 0, t.size)), nil
	}
	return &static{ref: t.ref, entries: []entry{{Blob: b, open: open}}, close: t.file.Close}, nil
}

// compressed opens an archive that has to be unpacked from its start: once here for its documents, which may come
// last, and again whenever its blobs are read.
func (t tarFile) compressed(ctx context.Context) (Image, error) {
	r, err := t.unpack(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	a, err := readArchive(r, func() (int64, error) { return -1, nil })
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", t.compression, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", t.compression, err)
	}
	roles, layout, ok, err := a.roles(ctx, t.opts)
	if err != nil {
		return nil, err
	}
	if !ok {
		return t.rootFS(a)
	}
	return &stream{ref: t.ref, open: t.unpack, known: roles, lacks: a.missing, layout: layout, close: t.file.Close, stamp: stamp(t.file.Name())}, nil
}

// unpack returns the unpacked archive from its start.
func (t tarFile) unpack(ctx context.Context) (io.ReadCloser, error) {
	packed := ctxReader{ctx, io.NewSectionReader(t.file, 0, t.size)}
	return t.opts.decompress(bufio.NewReaderSize(packed, 1<<16), t.compression)
}

// setDigest fills in the digest of the layers in an archive member.
func (l Layout) setDigest(path string, d digest.Digest) {
	for _, p := range l.Platforms {
		for i := range p.Layers {
			if p.Layers[i].Path == path && p.Layers[i].Digest == "" {
				p.Layers[i].Digest = string(d)
			}
		}
	}
}

// blob is the member as a Blob, without a way to open it.
func (m member) blob(r role) Blob {
	return Blob{
		Kind: r.kind, Digest: string(r.digest), MediaType: r.mediaType, Size: m.size, Path: m.name, Text: m.text,
		MustUnpack: r.mustUnpack,
	}
}

// ctxReader stops reading when its context ends.
type ctxReader struct {
	ctx context.Context
	io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// ctxSeeker is a ctxReader in which archive/tar can skip.
type ctxSeeker struct {
	ctx context.Context
	io.ReadSeeker
}

func (c ctxSeeker) Read(p []byte) (int, error) { return ctxReader{c.ctx, c.ReadSeeker}.Read(p) }
