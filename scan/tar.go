package scan

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// tar unpacks one tar archive, up to its end blocks. Its checksum was right: what fails is not there by chance.
func (w *walker) tar(in *input) (read bool, err error) {
	tr := tar.NewReader(tarInput{in})
	end := int64(-1) // of the member before, where that is known
	for {
		hdr, err := tr.Next()
		if end >= 0 {
			in.from.sink.Member(*in.path, min(end, in.offset())) // the archive may be cut off before the end
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return true, err
		}
		end = w.tarMember(in, tr, hdr)
	}
}

func (w *walker) tarMember(in *input, tr *tar.Reader, hdr *tar.Header) (end int64) {
	name := hdr.Name
	if hdr.Typeflag == tar.TypeDir && !strings.HasSuffix(name, "/") {
		name += "/" // as most write it
	}
	path, start, size := member(in.path, name), in.offset(), contentSize(hdr)
	in.from.sink.Member(path, start)
	in.tarTexts(hdr)
	if isSparse(hdr) {
		w.sparse(in, tr, path)
		return -1 // how long it is in the archive is not known: the next header counts as its own
	}
	if size > 0 {
		head, _ := in.Peek(int(min(size, SniffLen)))
		if mayNest(head) {
			w.inside(in, tr, path)
		}
	}
	return start + size
}

// sparse unpacks a file with holes. As an archive it can only be read with its holes filled, so it gets a stream of its
// own; as a file its bytes have passed.
func (w *walker) sparse(in *input, tr *tar.Reader, path Path) {
	if head, _ := in.Peek(SniffLen); !mayNest(head) {
		return
	}
	if _, err := w.walk(&stream{w: w, src: tr, path: &path}, in.depth+1, false); err != nil {
		w.unread(in, &path, err)
	}
}

func (in *input) tarTexts(hdr *tar.Header) {
	in.text("name", hdr.Name)
	if hdr.Typeflag == tar.TypeLink {
		in.text(HardLink, hdr.Linkname)
	} else {
		in.text("link", hdr.Linkname)
	}
	in.text("user", hdr.Uname)
	in.text("group", hdr.Gname)
	if len(hdr.PAXRecords) == 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(hdr.PAXRecords)) {
		in.text("pax "+key, hdr.PAXRecords[key])
	}
}

// contentSize is how many bytes follow the header. Links and the like have none, whatever the header says.
func contentSize(hdr *tar.Header) int64 {
	switch hdr.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXGlobalHeader:
		return 0
	}
	return hdr.Size
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tarInput lets a tar.Reader skip what nobody looked at without copying it: the reader seeks where it can.
type tarInput struct{ in *input }

func (t tarInput) Read(p []byte) (int, error) { return t.in.Read(p) }

// Seek only moves ahead from the current position, which is all that tar.Reader does.
func (t tarInput) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.ErrUnsupported
	}
	err := t.in.skip(offset)
	return t.in.offset(), err
}
