package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/finding"
)

// maxMembers bounds the table of an image archive. Those that engines write have some hundreds; a root file system
// may well have more, but needs no table.
const maxMembers = 1 << 16

// dockerManifest is the file that makes an archive a Docker archive.
const dockerManifest = "manifest.json"

// member is one entry of an archive.
type member struct {
	name       string // clean, without a leading slash
	link       string // the name that a link stands for, "" for all others
	offset     int64  // of the bytes in the file, -1 in a stream
	size       int64
	regular    bool
	sparse     bool              // stored with holes, so that its bytes are not those between offset and offset+size
	compressed bool              // starts like something compressed
	text       map[string]string // as Blob.Text
	doc        []byte            // the bytes of what may be a document of the image's structure
	sum        digest.Digest     // of the bytes, when it was computed while they passed
}

// archive is the table of an archive, filled entry by entry.
type archive struct {
	members []member
	byName  map[string]int // the last of a name wins, as when unpacking
	kept    int            // bytes of documents
	tooMany bool
	missing []entry // what documents lead to, but is not there: see Options.Partial
}

func newArchive() *archive { return &archive{byName: map[string]int{}} }

// headSize is how much of a member is looked at to tell what it is: the block that a tar header takes.
const headSize = 512

// add notes the entry with header h, whose bytes r returns. It returns those that it had to take from r:
// all of a document, and otherwise the first ones.
func (a *archive) add(h *tar.Header, r io.Reader, offset int64) (*member, []byte, error) {
	m := member{name: CleanName(h.Name), offset: offset, size: h.Size, text: headerText(h), sparse: isSparse(h)}
	switch h.Typeflag {
	case tar.TypeReg:
		m.regular = true
	case tar.TypeSymlink:
		m.link = CleanName(path.Join(path.Dir(m.name), h.Linkname))
	case tar.TypeLink:
		m.link = CleanName(h.Linkname)
	}
	head := make([]byte, min(headSize, h.Size))
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("reading %s: %w", m.name, err)
	}
	head = head[:n]
	m.compressed = compression(head) != ""
	if mayBeDocument(m, head) {
		if head, err = readDocument(io.MultiReader(bytes.NewReader(head), r), m.name); err != nil {
			return nil, nil, err
		}
		if err := a.keep(&m, head); err != nil {
			return nil, nil, err
		}
	}
	if len(a.members) == maxMembers {
		a.tooMany = true
		return &m, head, nil
	}
	a.byName[m.name] = len(a.members)
	a.members = append(a.members, m)
	return &a.members[len(a.members)-1], head, nil
}

// keep makes raw the document of m. Statements can be large and lead nowhere: they are not kept.
func (a *archive) keep(m *member, raw []byte) error {
	if documentKind(raw) == finding.InAttestation {
		return nil
	}
	if a.kept += len(raw); a.kept > maxDocuments {
		return fmt.Errorf("reading %s: %w: over %d MiB together with the others", m.name, ErrTooLarge, maxDocuments>>20)
	}
	m.doc = raw
	return nil
}

// find returns the index of the member that a name leads to through links, or -1.
func (a *archive) find(name string) int {
	name = CleanName(name)
	for range 16 {
		i, ok := a.byName[name]
		if !ok {
			return -1
		}
		if a.members[i].link == "" {
			return i
		}
		name = a.members[i].link
	}
	return -1
}

// lack notes a blob that is not there.
func (a *archive) lack(b Blob) {
	if slices.ContainsFunc(a.missing, func(e entry) bool { return e.Path == b.Path }) {
		return
	}
	open := func(context.Context) (io.ReadCloser, error) { return nil, ErrMissing }
	a.missing = append(a.missing, entry{Blob: b, open: open})
}

// doc returns the document of that name, nil if there is none.
func (a *archive) doc(name string) []byte {
	if i := a.find(name); i >= 0 {
		return a.members[i].doc
	}
	return nil
}

// CleanName is the name of an entry of an archive without a slash in front, and without . and .. in it.
func CleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func isSparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// headerText is everything in a header that a secret could be written to.
func headerText(h *tar.Header) map[string]string {
	text := map[string]string{"name": h.Name}
	for field, value := range map[string]string{"linkname": h.Linkname, "uname": h.Uname, "gname": h.Gname} {
		if value != "" {
			text[field] = value
		}
	}
	for k, v := range h.PAXRecords {
		if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
			text["xattr."+name] = v
		} else {
			text["pax."+k] = v
		}
	}
	return text
}

// mayBeDocument tells whether a member could be part of the image's structure, by its place and how it starts.
func mayBeDocument(m member, head []byte) bool {
	if !m.regular || m.size > maxDocument || m.sparse {
		return false
	}
	switch m.name {
	case dockerManifest, v1.ImageIndexFile, v1.ImageLayoutFile:
		return true
	}
	inPlace := !strings.Contains(m.name, "/") || blobDigest(m.name) != ""
	return inPlace && bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
}

// stated is the digest that the bytes of a member must have because of its name, "" if it says none.
func (m member) stated() digest.Digest {
	if !m.regular {
		return ""
	}
	return blobDigest(m.name)
}

// blobDigest is the digest that the name of a member states, "" if it states none.
func blobDigest(name string) digest.Digest {
	rest, ok := strings.CutPrefix(name, v1.ImageBlobsDir+"/")
	if !ok {
		return ""
	}
	alg, hex, ok := strings.Cut(rest, "/")
	if !ok {
		return ""
	}
	d, err := parseDigest(alg + ":" + hex)
	if err != nil {
		return ""
	}
	return d
}

// dockerImage is one image of a manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerImages reads manifest.json. It is nil if the archive has none that is Docker's: web applications have
// files of that name too.
func (a *archive) dockerImages() []dockerImage {
	var images []dockerImage
	if err := json.Unmarshal(a.doc(dockerManifest), &images); err != nil {
		return nil
	}
	for _, im := range images {
		if im.Config == "" {
			return nil
		}
	}
	return images
}

// ociIndex reads index.json. It is nil if the archive is not also marked as an OCI layout.
func (a *archive) ociIndex() *v1.Index {
	var index v1.Index
	if checkLayoutFile(a.doc(v1.ImageLayoutFile)) != nil || json.Unmarshal(a.doc(v1.ImageIndexFile), &index) != nil {
		return nil
	}
	return &index
}

// readArchive fills the table from a whole tar archive. offset tells where the reader is, or -1.
func readArchive(r io.Reader, offset func() (int64, error)) (*archive, error) {
	a := newArchive()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return a, nil
		}
		if errors.Is(err, tar.ErrHeader) && len(a.members) == 0 {
			return nil, ErrNotTar
		}
		if err != nil {
			return nil, fmt.Errorf("reading archive after %d entries: %w", len(a.members), err)
		}
		at, err := offset()
		if err != nil {
			return nil, err
		}
		if _, _, err := a.add(h, tr, at); err != nil {
			return nil, err
		}
	}
}
