package leaks

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
)

// ErrGone says that what a finding is about is not in the image any more, or in a file behind the end of its layer's archive.
var ErrGone = errors.New("the file of the finding is not in its layer")

// Extract writes the file, or document, that a finding is about to w: as it is in its layer, whatever later layers did to it. l is
// the Layout of the Result that has the finding: before they are read, some images do not know theirs. What is inside an archive is
// not taken out of it, and for what is in no file of a layer it writes the layer.
func Extract(ctx context.Context, img image.Image, l image.Layout, f finding.Leak, w io.Writer) error {
	for b, err := range img.Blobs(ctx) {
		if err != nil {
			return fmt.Errorf("reading %s: %w", img.Ref(), err)
		}
		_, layer, _ := locate(l, b)
		if b.Digest != f.Digest || layer != f.Layer || b.Digest == "" && !b.MustUnpack && b.Path != f.Path {
			continue
		}
		r, err := b.Open()
		if err != nil {
			return fmt.Errorf("opening %s: %w", describe(b), err)
		}
		defer r.Close()
		if b.MustUnpack && f.Path != "" {
			return extractMember(r, f.Entry, w)
		}
		_, err = io.Copy(w, r)
		return err
	}
	return ErrGone
}

// extractMember writes the file whose content begins at a place of the unpacked layer.
func extractMember(layer io.Reader, start int64, w io.Writer) error {
	r, err := scan.Decompressed(layer, windowLimit)
	if err != nil {
		return err
	}
	at := &counter{r: r}
	for member, err := range image.Members(at) {
		if err != nil {
			return err
		}
		if at.n == start && member.Header.Size > 0 {
			_, err := io.Copy(w, member)
			return err
		}
	}
	return ErrGone
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
