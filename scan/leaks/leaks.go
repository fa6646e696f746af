// Package leaks finds the credentials in an image that nobody has named: in its layers, with the files that later layers delete
// or overwrite, in its config, history and annotations, and in what refers to it.
package leaks

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
	"github.com/tightlip/tightlip/scan/detect"
	"golang.org/x/sync/errgroup"
)

// Options are how to search. Detector has to be set.
type Options struct {
	Detector *detect.Detector
	Cache    *Cache            // of what layers hold; may be nil
	Progress func(bytes int64) // called now and then with the bytes searched so far; may be nil
	// Origins says which Dockerfile lines made the entries of an image's history, nil where it does not know;
	// may be nil itself.
	Origins func(history []string) []*finding.Source
	// Base tells the layers that are not to be reported, by diff ID or digest: those of a base image. May be nil.
	Base map[string]bool
	// Last, if it is over 0, is how many of the topmost layers are reported.
	Last int
	// Seen is told each value that is found as it stands, and returns the Ticket of its finding. It is called from several goroutines, must
	// not keep the slice, and may be nil. With it, the Cache is not used: that has no values.
	Seen func(rule string, value []byte) (ticket int)
	// Budget bounds what this search does at the same time, together with others that have the same one. Nil is one of its own.
	Budget *Budget
}

// Result is what was found in one image.
type Result struct {
	Ref      string
	Layout   image.Layout
	History  []string // of the first platform
	Layers   []Layer
	Findings []finding.Leak
	Unread   []Unread
	Stats    Stats
}

// Layer is one layer of the first platform.
type Layer struct {
	Digest    string
	CreatedBy string // masked
	Size      int64  // as stored, in bytes; -1 if unknown
}

// Unread is something that could not be searched.
type Unread struct {
	finding.Location
	Reason string
}

// Stats are what was looked at.
type Stats struct {
	Layers int
	Files  int64
	Bytes  int64 // unpacked ones included
	Cached int   // layers that were known from an earlier search
	Time   time.Duration
}

// windowLimit bounds the memory for unpacking.
const windowLimit = 64 << 20

// Find searches an image. What could not be read is in the Result; the error is for what ended the search.
func Find(ctx context.Context, img image.Image, o Options) (*Result, error) {
	start := time.Now()
	if o.Seen != nil {
		o.Cache = nil
	}
	if o.Budget == nil {
		o.Budget = NewBudget()
	}
	s := &search{options: o}
	defer s.forget()
	if err := s.blobs(ctx, img); err != nil {
		return nil, err
	}
	l, err := img.Layout(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", img.Ref(), err)
	}
	r := &Result{Ref: img.Ref(), Layout: l}
	s.place(r)
	r.Stats.Time = time.Since(start)
	return r, nil
}

// Budget bounds what searches do at the same time, and so their memory.
type Budget struct {
	walks   chan struct{} // for each blob that is read, which with a registry is often waiting
	looks   chan struct{} // for each piece of one that is looked at
	entries atomic.Int64  // that are kept of layers, in hashes
}

// NewBudget makes a budget for any number of searches.
func NewBudget() *Budget {
	n := runtime.GOMAXPROCS(0)
	return &Budget{walks: make(chan struct{}, max(3, n)), looks: make(chan struct{}, n)}
}

// search is the search of one image.
type search struct {
	options Options
	bytes   atomic.Int64

	order []*piece

	mu    sync.Mutex
	known []string // values in documents; for masking, and gone with the search
}

// forget drops what is known of the layers' entries.
func (s *search) forget() {
	for _, p := range s.order {
		if p.entries != nil {
			p.entries.drop()
		}
	}
}

// piece is what was found in one blob.
type piece struct {
	blob    image.Blob
	size    int64
	leaks   []leak
	gaps    []gap
	entries *entries // of a layer
	files   int64
	bytes   int64
	cached  bool
	history history // of a config
}

// leak is a credential in a blob, before it is known which place in the image that blob has. It is what the cache keeps: all of its
// texts are masked.
type leak struct {
	Rule     string           `json:"rule"`
	Title    string           `json:"title"`
	Severity finding.Severity `json:"severity"`
	Fix      string           `json:"fix,omitempty"`
	Where    string           `json:"where"`
	Path     string           `json:"path,omitempty"`
	Inner    string           `json:"inner,omitempty"`
	Field    string           `json:"field,omitempty"`
	Key      string           `json:"key,omitempty"`
	Line     int              `json:"line,omitempty"`
	Offset   int64            `json:"offset"`
	Entry    int64            `json:"entry,omitempty"` // as of finding.Leak
	Trail    trail            `json:"trail,omitempty"` // of a file whose Path is not its name any more
	Encoding string           `json:"encoding,omitempty"`
	Hint     string           `json:"hint,omitempty"`
	Ignored  string           `json:"ignored,omitempty"`

	ticket int // of Options.Seen
}

// gap is something in a blob that could not be read.
type gap struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// blobs searches every blob: those that can be opened at any time in parallel, the others as they come. What fails is noted, and the
// rest is searched all the same; the error is ctx's, or that there was nothing to search.
func (s *search) blobs(ctx context.Context, img image.Image) error {
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	defer func() { _ = group.Wait() }() // its functions return nothing
	for b, err := range img.Blobs(ctx) {
		if err != nil && (ctx.Err() != nil || len(s.order) == 0) {
			return fmt.Errorf("searching %s: %w", img.Ref(), err)
		}
		p := &piece{blob: b, size: b.Size}
		s.order = append(s.order, p)
		if err != nil {
			p.fail(s.options.Detector, err)
			return nil
		}
		look := func() error {
			defer s.options.Cache.claim(ctx, p)()
			if s.options.Cache.load(p, s.options.Budget) {
				return nil
			}
			budget := s.options.Budget
			budget.walks <- struct{}{}
			defer func() { <-budget.walks }()
			if err := s.blob(ctx, p); err != nil {
				p.fail(s.options.Detector, err)
			}
			return nil
		}
		if b.Sequential {
			_ = look()
			continue
		}
		group.Go(look)
	}
	_ = group.Wait()
	return ctx.Err()
}

// fail notes that a blob was not, or not completely, read.
func (p *piece) fail(d *detect.Detector, err error) {
	p.gaps = append(p.gaps, gap{Path: clip(d.Mask(p.blob.Path)), Reason: d.Mask(err.Error())})
}

// blob searches one blob.
func (s *search) blob(ctx context.Context, p *piece) error {
	v := &visitor{ctx: ctx, search: s, piece: p}
	if p.blob.MustUnpack {
		p.entries = &entries{budget: s.options.Budget}
	}
	if p.blob.Kind == finding.InFile && !p.blob.MustUnpack {
		p.files = 1
	}
	v.texts(p.blob.Text)
	r, err := p.blob.Open()
	if err != nil {
		return fmt.Errorf("opening %s: %w", describe(p.blob), err)
	}
	defer r.Close()
	in := bufio.NewReader(r)
	head, _ := in.Peek(scan.SniffLen)
	if isDocument(p.blob) && scan.Sniff(head) == scan.Plain { // what belongs to an image may also be an archive
		if err := v.readDocument(in); err != nil {
			return fmt.Errorf("reading %s: %w", describe(p.blob), err)
		}
		return nil
	}
	limits := scan.Limits{MustUnpack: p.blob.MustUnpack, Window: windowLimit}
	err = scan.Walk(ctx, in, v.name(), v, limits)
	v.pending.Wait()
	if err != nil {
		return fmt.Errorf("reading %s: %w", describe(p.blob), err)
	}
	if p.entries != nil {
		if p.entries.seal(); p.entries.Full {
			p.gaps = append(p.gaps, gap{Reason: tooManyEntries})
		}
	}
	s.options.Cache.store(p)
	return nil
}

func describe(b image.Blob) string {
	return fmt.Sprintf("%s %s", b.Kind, cmp.Or(b.Path, b.Digest))
}

// maskNames masks what an image is called.
func (s *search) maskNames(r *Result) {
	d := s.options.Detector
	r.Ref = d.Mask(r.Ref)
	r.Layout.Names = slices.Clone(r.Layout.Names)
	for i, name := range r.Layout.Names {
		r.Layout.Names[i] = d.MaskCommand(name)
	}
	r.Layout.Platforms = slices.Clone(r.Layout.Platforms)
	for i := range r.Layout.Platforms {
		p := &r.Layout.Platforms[i]
		p.OS, p.Architecture, p.Variant = d.Mask(p.OS), d.Mask(p.Architecture), d.Mask(p.Variant)
		p.Layers = slices.Clone(p.Layers)
		for j := range p.Layers {
			p.Layers[j].CreatedBy = "" // History has it, masked
		}
	}
}

// masked is a command without credentials, and without what was found elsewhere in the documents.
func (s *search) masked(text string) string {
	text = s.options.Detector.MaskCommand(text)
	for _, value := range s.known {
		text = strings.ReplaceAll(text, value, "***")
	}
	return text
}

func (s *search) layers(l image.Layout, history []string) []Layer {
	if len(l.Platforms) == 0 {
		return nil
	}
	var out []Layer
	for _, layer := range l.Platforms[0].Layers {
		n := Layer{Digest: layer.Digest, Size: -1}
		if layer.History >= 0 && layer.History < len(history) {
			n.CreatedBy = history[layer.History]
		}
		for _, p := range s.order {
			if layer.Is(p.blob) {
				n.Size = p.size
			}
		}
		out = append(out, n)
	}
	return out
}

// inBase tells whether what is in a blob is not to be reported.
func (s *search) inBase(l image.Layout, layer int, b image.Blob) bool {
	if layer == 0 {
		return false
	}
	for _, p := range l.Platforms {
		for i, known := range p.Layers {
			if !known.Is(b) {
				continue
			}
			if s.options.Last == 0 && !s.options.Base[known.DiffID] && !s.options.Base[b.Digest] || s.options.Last > 0 && i >= len(p.Layers)-s.options.Last {
				return false
			}
		}
	}
	return s.options.Last > 0 || s.options.Base != nil
}
