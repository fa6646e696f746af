package classic

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// binds are the paths of the build context that steps mount: an archive of each, to be served.
type binds struct {
	context *buildContext
	stage   string
	files   map[string]string // archives by path
	digests map[string]string // of these
	largest int64
}

const (
	// maxBind bounds, in bytes, what a step can mount: it is unpacked into memory.
	maxBind = 48 << 20
	// defaultShm is what Docker gives a step's /dev/shm.
	defaultShm = 64 << 20
)

// add makes the archive of a path, and returns a digest of it for the builder's cache: times are no part of it.
func (b *binds) add(source string) (digest string, err error) {
	if digest, ok := b.digests[source]; ok {
		return digest, nil
	}
	name := filepath.Join(b.stage, fmt.Sprintf("bind-%d.tar", len(b.files)))
	in, err := b.context.open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	size, err := pick(out, sum, tar.NewReader(in), source)
	if err := errors.Join(err, out.Close()); err != nil {
		return "", err
	}
	b.files[source], b.largest = name, max(b.largest, size)
	b.digests[source] = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return b.digests[source], nil
}

// shmSize is how large a step's /dev/shm has to be. The size is no part of the builder's cache key.
func (b *binds) shmSize(asked int64) int64 {
	if len(b.files) == 0 {
		return asked
	}
	return max(asked, b.largest+defaultShm)
}

// pick writes what is at or below a path, under names relative to it: one file, or a folder, which comes first.
func pick(w, sum io.Writer, in *tar.Reader, source string) (size int64, err error) {
	tw := tar.NewWriter(w)
	found := false
	for err == nil {
		var h *tar.Header
		if h, err = in.Next(); err != nil {
			break
		}
		name, ok := below(source, h.Name)
		if !ok || found && name == "." {
			continue
		}
		if err := mountable(h, source, name); err != nil {
			return 0, err
		}
		if !found && name != "." { // an archive of a folder need not list it
			if err := tw.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
				return 0, err
			}
		}
		found = true
		h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
		if size += h.Size; size > maxBind {
			return 0, fmt.Errorf("what is to be mounted is larger than %d MB, the most that this builder can mount", maxBind>>20)
		}
		fmt.Fprintf(sum, "%q %c %o %q %d\n", name, h.Typeflag, h.Mode, h.Linkname, h.Size)
		if err = tw.WriteHeader(h); err == nil {
			_, err = io.Copy(io.MultiWriter(tw, sum), in)
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		return 0, err
	case !found:
		return 0, fmt.Errorf("the build context has no %s", source)
	}
	return size, tw.Close()
}

// mountable refuses links whose content is elsewhere: a copy of the link alone would be another thing. Hard links in the folder itself
// are named relative to it.
func mountable(h *tar.Header, source, name string) error {
	if h.Typeflag == tar.TypeLink {
		target, ok := below(source, h.Linkname)
		if !ok || name == "." {
			return fmt.Errorf("%s is a hard link to %s, which is not mounted: this builder cannot mount it", h.Name, h.Linkname)
		}
		h.Linkname = target
	}
	if h.Typeflag == tar.TypeSymlink && name == "." {
		return fmt.Errorf("%s is a link: mount what it leads to, %s", h.Name, h.Linkname)
	}
	return nil
}

// below is a name relative to a folder, if it is that or in it.
func below(folder, name string) (string, bool) {
	name = path.Join("/", name)[1:]
	switch {
	case name == folder:
		return ".", true
	case folder == "":
		return name, true
	}
	return strings.CutPrefix(name, folder+"/")
}
