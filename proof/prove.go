package proof

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
	"golang.org/x/sync/errgroup"
)

// Verdict is the outcome of a proof.
type Verdict string

// The verdicts.
const (
	Clean      Verdict = "clean"      // everything was searched and no secret found
	Leaked     Verdict = "leaked"     // a secret was found
	Incomplete Verdict = "incomplete" // nothing was found, but not everything could be searched
)

// Proof is what was searched for, where, and what came of it.
type Proof struct {
	Verdict   Verdict           `json:"verdict"`
	Secrets   []string          `json:"secrets"` // ids
	Waived    []string          `json:"waived,omitempty"`
	Unminted  []string          `json:"unminted,omitempty"` // without a value, since no step asked for one
	Spent     []string          `json:"spent,omitempty"`    // build arguments, which may be in the image if they are dead
	Needles   int               `json:"needles"`
	Encodings []string          `json:"encodings,omitempty"`
	Blobs     int               `json:"blobs"`
	Bytes     int64             `json:"bytes"`  // searched, unpacked ones included
	Cached    int               `json:"cached"` // blobs that were proven before and not read again
	Millis    int64             `json:"milliseconds"`
	Unread    []Unread          `json:"not_searched,omitempty"`
	Skipped   []Unread          `json:"skipped,omitempty"` // unread, as the user allowed
	Findings  []finding.Finding `json:"-"`
}

// Unread is something that could not be searched.
type Unread struct {
	finding.Location
	Reason string `json:"reason"`
}

// Known tells whether one of the findings is about an earlier value.
func (p *Proof) Known() bool {
	return slices.ContainsFunc(p.Findings, func(f finding.Finding) bool { return f.Encoding == Earlier })
}

// Options are how to prove.
type Options struct {
	Cache    *Cache            // of what was proven before; may be nil
	Skip     []string          // patterns of path.Match for files that may be left unread
	Progress func(bytes int64) // called now and then with the bytes searched so far; may be nil
	// Forget drops what is remembered of earlier leaks in the layers.
	Forget bool
	// Origins says which Dockerfile lines made the entries of an image's history, nil where it does not know;
	// may be nil itself.
	Origins func(history []string) []*finding.Source
}

// document is a small blob, kept to say where in it a leak is.
type document struct {
	text    []byte
	history []string // of an image config
}

// windowLimit bounds the memory for unpacking: a proof stays under 150 MB.
const windowLimit = 64 << 20

// smallBlob is the size in bytes up to which a document is kept to name the field of a leak.
const smallBlob = 4 << 20

// Prove searches every byte of the images for the needles.
//
// The error is for what ended the search. What could not be read is in the Proof, which is then incomplete.
func Prove(ctx context.Context, images []image.Image, n *Needles, o Options) (*Proof, error) {
	start := time.Now()
	waived := n.Waived()
	unminted := n.open().unminted
	ids := slices.DeleteFunc(slices.Clone(n.open().ids), func(id string) bool {
		return slices.Contains(waived, id) || slices.Contains(unminted, id) || slices.Contains(n.open().spent, id)
	})
	ids = slices.Compact(ids) // a secret that was renewed had several values
	p := &Proof{Secrets: ids, Waived: waived, Unminted: unminted, Spent: n.open().spent, Needles: n.Len(), Encodings: n.Encodings()}
	if n.Len()+len(unminted) > 0 {
		for _, img := range images {
			if err := proveImage(ctx, img, n, o, p); err != nil {
				return nil, err
			}
		}
	}
	p.decide()
	p.Millis = time.Since(start).Milliseconds()
	return p, nil
}

func (p *Proof) decide() {
	switch {
	case slices.ContainsFunc(p.Findings, func(f finding.Finding) bool { return !f.Phantom }):
		p.Verdict = Leaked
	case len(p.Unread) > 0:
		p.Verdict = Incomplete
	default:
		p.Verdict = Clean
	}
}

// covered is implemented by images whose digest may stand for all there is of them. In a daemon it does; elsewhere further
// documents can refer to an image at any time.
type covered interface{ Covered() bool }

// proveImage adds what is found in one image to p.
func proveImage(ctx context.Context, img image.Image, n *Needles, o Options, p *Proof) error {
	s := &search{needles: n, options: o, proof: p, documents: map[string]document{}}
	s.mark = o.Cache.mark(n)
	known, err := img.Layout(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", img.Ref(), err)
	}
	whole := ""
	if c, ok := img.(covered); ok && c.Covered() && known.Digest != "" && len(known.Absent) == 0 {
		whole = "image " + known.Digest
	}
	if e, ok := s.mark.get(whole); ok && !o.Forget && !s.knownLeak(known) {
		p.Blobs, p.Cached, p.Bytes = p.Blobs+e.Blobs, p.Cached+e.Blobs, p.Bytes+e.Bytes
		return nil
	}
	before := *p
	if err := s.blobs(ctx, img); err != nil {
		return err
	}
	full, err := img.Layout(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", img.Ref(), err)
	}
	s.report(ctx, img, full)
	if len(p.Findings) == 0 && len(p.Unread) == 0 && len(p.Skipped) == 0 {
		s.mark.put(whole, entry{Blobs: p.Blobs - before.Blobs, Bytes: p.Bytes - before.Bytes})
	}
	return nil
}

// search is the search of one image.
type search struct {
	needles *Needles
	options Options
	mark    *marks
	proof   *Proof

	bytes atomic.Int64
	mu    sync.Mutex
	leaks []leak
	gaps  []gap

	documents map[string]document // by digest
}

// blobs searches every blob: those that can be opened at any time in parallel, the others as they come.
func (s *search) blobs(ctx context.Context, img image.Image) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var iterErr error
	for b, err := range img.Blobs(gctx) {
		if err != nil {
			iterErr = err
			break
		}
		s.proof.Blobs++
		s.earlier(b)
		if e, ok := s.mark.get(identity(b)); ok && b.Kind != finding.InConfig { // the history in it may be needed
			s.proof.Cached++
			s.bytes.Add(e.Bytes)
			continue
		}
		if b.Sequential || b.Size >= 0 && b.Size < smallBlob/8 {
			if iterErr = s.blob(gctx, b); iterErr != nil {
				break
			}
			continue
		}
		group.Go(func() error { return s.blob(gctx, b) })
	}
	// The group's own error comes first: it is what ended the context, if it did.
	if err := group.Wait(); err != nil {
		return fmt.Errorf("searching %s: %w", img.Ref(), err)
	}
	if iterErr != nil {
		return fmt.Errorf("searching %s: %w", img.Ref(), iterErr)
	}
	s.proof.Bytes += s.bytes.Load()
	return nil
}

// Earlier is the encoding of a finding about a value that a secret had once: the layer leaked it in an earlier build, and comes
// from a cache now that the secret has another value.
const Earlier = "earlier value"

// earlier adds what a layer is known to have leaked.
func (s *search) earlier(b image.Blob) {
	if !b.MustUnpack {
		return
	}
	for _, id := range s.needles.open().ids {
		if s.options.Forget {
			s.mark.forget(b.Digest, id)
			continue
		}
		if e, ok := s.mark.leaked(b.Digest, id); ok {
			l := leak{blob: b, secret: id, encoding: Earlier, path: e.Path, file: e.File, offset: e.Offset}
			s.mu.Lock()
			s.leaks = append(s.leaks, l)
			s.mu.Unlock()
		}
	}
}

// knownLeak tells whether a layer of the image leaked an earlier value.
func (s *search) knownLeak(l image.Layout) bool {
	for _, p := range l.Platforms {
		for _, layer := range p.Layers {
			for _, id := range s.needles.open().ids {
				if _, ok := s.mark.leaked(layer.Digest, id); ok {
					return true
				}
			}
		}
	}
	return false
}

// blob searches one blob and remembers it if nothing was found and nothing left unread.
func (s *search) blob(ctx context.Context, b image.Blob) error {
	v := &visitor{search: s, blob: b, redact: s.needles.maskString}
	for field, text := range b.Text {
		v.text(field, text)
	}
	r, err := b.Open()
	if err != nil {
		return fmt.Errorf("opening %s: %w", describe(b), err)
	}
	defer r.Close()
	in, err := v.keepDocument(r)
	if err != nil {
		return fmt.Errorf("reading %s: %w", describe(b), err)
	}
	limits := scan.Limits{MustUnpack: b.MustUnpack, Window: windowLimit}
	if err := scan.Walk(ctx, in, pathOf(b), v, limits); err != nil {
		return fmt.Errorf("reading %s: %w", describe(b), err)
	}
	s.mu.Lock()
	s.leaks = append(s.leaks, v.leaks...)
	s.gaps = append(s.gaps, v.gaps...)
	if v.document != nil && (b.Kind == finding.InConfig || len(v.leaks) > 0) {
		s.documents[b.Digest] = document{v.document, image.History(v.document)}
	}
	s.mu.Unlock()
	if len(v.leaks) == 0 && len(v.gaps) == 0 {
		s.mark.put(identity(b), entry{Blobs: 1, Bytes: v.bytes})
	}
	return nil
}

// identity is what a blob is remembered by; empty if there is nothing to tell it from another.
func identity(b image.Blob) string {
	if b.Digest == "" || b.Stamp == "" {
		return b.Digest
	}
	return b.Digest + " " + b.Stamp
}

// pathOf is the path that findings in a blob begin with. A blob that has a place in the image is known by that, and not
// by what an archive happens to call it.
func pathOf(b image.Blob) string {
	if b.Kind == finding.InFile || b.Kind == finding.InMetadata || b.Kind == finding.InRecord {
		return b.Path
	}
	return ""
}

func describe(b image.Blob) string {
	if b.Path != "" {
		return fmt.Sprintf("%s %s", b.Kind, b.Path)
	}
	return fmt.Sprintf("%s %s", b.Kind, b.Digest)
}

// skipped tells whether the user lets a file be unread.
func (o Options) skipped(file string) bool {
	return slices.ContainsFunc(o.Skip, func(pattern string) bool {
		ok, err := path.Match(pattern, file)
		return ok && err == nil
	})
}

// CheckSkip returns an error for the first pattern that is malformed.
func CheckSkip(patterns []string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("the pattern %q: %w", pattern, err)
		}
	}
	return nil
}
