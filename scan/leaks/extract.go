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

// ErrGone says that what a finding is about is not in the image any more, or has a name that cannot be told from its mask.
var ErrGone = errors.New("the file of the finding is not in its layer")

// Extract writes the file, or document, that a finding is about to w: as it is in its layer, whatever later layers did to it. l is
// the Layout of the Result that has the finding: before they are read, some images do not know theirs. What is inside an archive is
// not taken out of it.
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
		if b.MustUnpack {
			return extractMember(r, f.Path, w)
		}
		_, err = io.Copy(w, r)
		return err
	}
	return ErrGone
}

// extractMember writes a file of a layer.
func extractMember(layer io.Reader, name string, w io.Writer) error {
	r, err := scan.Decompressed(layer, windowLimit)
	if err != nil {
		return err
	}
	for member, err := range image.Members(r) {
		if err != nil {
			return err
		}
		if image.CleanName(member.Header.Name) == image.CleanName(name) && member.Header.Size > 0 {
			_, err := io.Copy(w, member)
			return err
		}
	}
	return ErrGone
}
