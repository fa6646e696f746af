package proof

import (
	"bytes"
	"io"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
)

// leak is a needle found in a blob, before it is known which place in the image that blob has.
type leak struct {
	blob     image.Blob
	secret   string
	encoding string
	path     string // redacted
	file     string // the outermost file on the way there, as it is called in the layer
	field    string
	offset   int64 // in the file, document or stream
}

// gap is something in a blob that could not be read.
type gap struct {
	blob         image.Blob
	path, reason string // redacted
	file         string
}

// maxLeaks bounds what is kept of a blob that is full of needles.
const maxLeaks = 256

// maxGaps bounds what is kept of a blob that is full of what cannot be read.
const maxGaps = 1000

// visitor looks for needles in all that a walk finds in one blob.
type visitor struct {
	search   *search
	blob     image.Blob
	redact   func(string) string
	document []byte // the whole blob, if it is a small document
	bytes    int64
	leaks    []leak
	gaps     []gap
	unread   int        // gaps, also those that are not kept
	skipped  int        // the same, of files that may be left unread
	free     []*Scanner // of streams that have ended
}

// keepDocument reads a small document into memory, so that the field of a leak can be named.
func (v *visitor) keepDocument(r io.Reader) (io.Reader, error) {
	if v.blob.MustUnpack || v.blob.Size < 0 || v.blob.Size > smallBlob || v.blob.Digest == "" {
		return r, nil
	}
	var err error
	v.document, err = io.ReadAll(io.LimitReader(r, smallBlob+1))
	if err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(v.document), r), nil
}

func (v *visitor) add(l leak) {
	if len(v.leaks) < maxLeaks {
		l.blob = v.blob
		v.leaks = append(v.leaks, l)
	}
}

// text searches what is known of a blob besides its bytes.
func (v *visitor) text(field, value string) {
	v.search.needles.Find([]byte(value), func(h Hit) {
		v.add(leak{secret: h.Secret, encoding: h.Encoding, path: v.redact(pathOf(v.blob)), file: pathOf(v.blob), field: field, offset: h.Offset})
	})
}

// Stream implements scan.Visitor.
func (v *visitor) Stream(p scan.Path) scan.Sink {
	s := &sink{visitor: v, origin: p, here: p}
	if n := len(v.free); n > 0 {
		s.scanner, v.free = v.free[n-1], v.free[:n-1]
		s.scanner.Reset()
		s.scanner.setReport(s.hit)
	} else {
		s.scanner = v.search.needles.NewScanner(s.hit)
	}
	return s
}

// file is the outermost file on the way to p. In a folder, that is the blob itself.
func (v *visitor) file(p scan.Path) string {
	if v.blob.Kind == finding.InFile && !v.blob.MustUnpack {
		return v.blob.Path
	}
	return p.File()
}

// Unread implements scan.Visitor.
func (v *visitor) Unread(p scan.Path, why error) {
	g := gap{blob: v.blob, file: v.file(p)}
	told := &v.unread
	if v.search.options.skipped(g.file) {
		told = &v.skipped
	}
	switch *told++; {
	case *told > maxGaps+1:
		return
	case *told > maxGaps:
		g.reason = "more could not be read than is listed"
	default:
		g.path, g.reason = v.redact(p.String()), v.redact(why.Error())
	}
	v.gaps = append(v.gaps, g)
}

// sink searches one stream. The walk says which member bytes belong to after they have passed, so hits wait.
type sink struct {
	visitor *visitor
	scanner *Scanner
	origin  scan.Path
	here    scan.Path // whose bytes those from start on are
	start   int64
	waiting []Hit
}

func (s *sink) hit(h Hit) { s.waiting = append(s.waiting, h) }

// Write implements scan.Sink.
func (s *sink) Write(p []byte) {
	_, _ = s.scanner.Write(p)
	s.visitor.bytes += int64(len(p))
	total := s.visitor.search.bytes.Add(int64(len(p)))
	if f := s.visitor.search.options.Progress; f != nil {
		f(total)
	}
}

// Member implements scan.Sink.
func (s *sink) Member(p scan.Path, offset int64) {
	s.settle(offset)
	s.here, s.start = p, offset
	if p == s.origin {
		s.start = 0 // between two members an offset counts from the start of the archive
	}
}

// settle gives the hits before offset the member they are in.
func (s *sink) settle(offset int64) {
	if len(s.waiting) == 0 {
		return
	}
	rest := s.waiting[:0]
	for _, h := range s.waiting {
		if h.Offset >= offset {
			rest = append(rest, h)
			continue
		}
		s.visitor.add(leak{
			secret: h.Secret, encoding: h.Encoding, offset: h.Offset - s.start,
			path: s.visitor.redact(s.here.String()), file: s.here.File(),
		})
	}
	s.waiting = rest
}

// Text implements scan.Sink.
func (s *sink) Text(field, value string) {
	s.visitor.search.needles.Find([]byte(value), func(h Hit) {
		s.visitor.add(leak{
			secret: h.Secret, encoding: h.Encoding, offset: h.Offset, field: s.visitor.redact(field),
			path: s.visitor.redact(s.here.String()), file: s.here.File(),
		})
	})
}

// Close implements scan.Sink.
func (s *sink) Close() {
	s.settle(1<<63 - 1)
	s.visitor.free = append(s.visitor.free, s.scanner)
}
