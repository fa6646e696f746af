// Package image turns an image, wherever it is kept, into a stream of blobs and the structure that gives them meaning.
//
// [ParseRef] reads a reference of the command line and [Open] opens what it names: an image of a Docker daemon, of podman
// or of a registry, an OCI layout, an archive, a root file system, a container, a build context. Layers are passed on as
// they are stored: unpacking them is the reader's business. What cannot be followed to the last blob is an error, never left out.
package image

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/tightlip/tightlip/finding"
)

// The errors that callers may want to tell apart. They arrive wrapped in one that says where.
var (
	ErrDigest    = errors.New("content does not match its digest")
	ErrMissing   = errors.New("blob is missing")
	ErrMediaType = errors.New("unsupported media type")
	ErrEncrypted = errors.New("layer is encrypted: decrypt the image first")
	ErrSchema1   = errors.New("schema 1 is not supported: pull and push it again")
	ErrTooLarge  = errors.New("document is too large")
	ErrNotFound  = errors.New("no such image")
	ErrPassed    = errors.New("blob of a stream was asked for too late: read it before the next one")
	ErrNotTar    = errors.New("not a tar archive")
)

// Blob is one piece of an image's content, unopened.
type Blob struct {
	Kind finding.Kind
	// Digest is of the bytes that Open returns, as algorithm:hex. It is "" for plain files, for the files of a
	// container format, and for layers in the stream of an old daemon, which does not say it beforehand.
	Digest    string
	MediaType string // as the image declares it, "" if it does not
	Size      int64  // -1 if unknown
	Path      string // of plain files and archive members, with slashes, relative to the root
	// Text holds what a tar header or a directory knows about a file besides its bytes, by field: name, linkname,
	// uname, gname, xattr.NAME, and pax.KEY for other records. Secrets hide there too.
	Text map[string]string
	// Sequential tells that the blob must be read before the next one is asked for. All others may be opened at
	// any time before Close, any number of times and concurrently.
	Sequential bool
	// Stamp tells the state of the local file that holds the blob: it changes when the file does. It is "" where content
	// cannot change under its digest, or was checked when it was written.
	Stamp string
	// MustUnpack tells that the bytes have to be a tar archive, possibly compressed: a layer, or a whole root
	// file system. A reader that cannot unpack it has not looked at everything.
	MustUnpack bool
	// Open returns the bytes. The last Read returns an error that is ErrDigest instead of io.EOF
	// when they do not match Digest.
	Open func() (io.ReadCloser, error)
}

// Image is an opened image.
type Image interface {
	// Ref is the reference that the image was opened with.
	Ref() string
	// Blobs yields every blob of the image once, the small documents and the container format's own files
	// included; documents come after what they refer to. It ends after the first error. The context also bounds
	// the reading of the blobs. Streams can be ranged over more than once, but not at the same time.
	Blobs(ctx context.Context) iter.Seq2[Blob, error]
	// Layout is the image's structure. For an image of a Docker daemon it is complete only
	// once Blobs was drained; before that it is what the daemon says about the image.
	Layout(ctx context.Context) (Layout, error)
	// Close releases what the image holds open. Blobs cannot be opened any more.
	Close() error
}

// Layout is the structure of an image.
type Layout struct {
	// Digest is what the image is called by content: the digest of its index or manifest, or the image ID for
	// a daemon. It is "" for a plain root file system, and that of index.json for an OCI layout with several images.
	Digest    string
	MediaType string
	Names     []string
	Platforms []Platform
	// Absent lists the platforms which the index names but a daemon never pulled, so that no byte of them is here.
	// Only daemons and the archives they save may have any; elsewhere it is an error.
	Absent []Platform
}

// Platform is one image of a Layout.
type Platform struct {
	OS, Architecture, Variant string

	Manifest     string   // its digest, "" in an old Docker archive
	Config       string   // its digest
	Layers       []Layer  // the lowest first
	Attestations []string // digests of the manifests that describe or refer to this one
}

// String is os/architecture[/variant], or "" if nothing is known.
func (p Platform) String() string {
	if p.OS == "" && p.Architecture == "" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Layer is one layer of a Platform.
type Layer struct {
	Digest    string // of the blob as stored
	DiffID    string // of the unpacked tar, "" if the config does not say
	Path      string // of the archive member that holds it, equal to its Blob's Path; "" elsewhere
	CreatedBy string // its history entry, "" if there is none
	History   int    // the index of its history entry, -1 if there is none
}

// Is tells whether a blob is the layer.
func (l Layer) Is(b Blob) bool {
	return l.Digest != "" && l.Digest == b.Digest || l.Path != "" && l.Path == b.Path
}
