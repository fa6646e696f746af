package corpus

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Every file of the image is from this time.
var stamp = time.Unix(1767225600, 0).UTC()

// writeLayer writes a layer's tar archive.
func writeLayer(w io.Writer, l layer) error {
	tw := tar.NewWriter(w)
	for _, root := range l.stock {
		if err := addStock(tw, root); err != nil {
			return err
		}
	}
	for _, f := range l.files {
		h := &tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.body)), ModTime: stamp, PAXRecords: f.pax}
		switch {
		case strings.HasSuffix(f.name, "/"):
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		case f.link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.link, 0
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(tw, f.body); err != nil {
			return err
		}
	}
	return tw.Close()
}

// addStock adds the regular files and folders under a path of this machine.
func addStock(tw *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "/")
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: stamp}); err != nil {
			return err
		}
		_, err = io.CopyN(tw, f, info.Size())
		return err
	})
}

// stored is a layer in a file: the digests and size of what is in it.
type stored struct {
	diffID, digest string
	size           int64
}

// storeLayer writes a layer to a file, compressed as the shape has it.
func storeLayer(path string, shape Shape, l layer) (s stored, err error) {
	f, err := os.Create(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	packed, plain := sha256.New(), sha256.New()
	count := &counter{Writer: io.MultiWriter(f, packed)}
	w, err := compressor(count, shape)
	if err != nil {
		return s, err
	}
	if err := writeLayer(io.MultiWriter(w, plain), l); err != nil {
		return s, err
	}
	if err := w.Close(); err != nil {
		return s, err
	}
	return stored{hexOf(plain.Sum(nil)), hexOf(packed.Sum(nil)), count.n}, f.Close()
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

func compressor(w io.Writer, shape Shape) (io.WriteCloser, error) {
	switch shape {
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(w)
	}
	return plain{w}, nil
}

// document completes an image config.
func document(img contents, platform string, layers []stored) []byte {
	var ids []string
	for _, l := range layers {
		ids = append(ids, "sha256:"+l.diffID)
	}
	config := img.config
	config["os"], config["architecture"], _ = strings.Cut(platform, "/")
	config["created"], config["rootfs"] = created, object{"type": "layers", "diff_ids": ids}
	return encode(config)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("what this package makes is always JSON: %v", err))
	}
	return b
}

// writeArchive writes image.tar as docker save does before version 25.
func writeArchive(dir string, img contents) error {
	f, err := os.Create(filepath.Join(dir, "image.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	tw := tar.NewWriter(f)
	var layers []stored
	var names []string
	for _, l := range img.layers {
		tmp := filepath.Join(dir, "layer.tmp")
		s, err := storeLayer(tmp, Docker, l)
		if err != nil {
			return err
		}
		id := fmt.Sprintf("%x", sha256.Sum256([]byte(l.createdBy)))
		if err := addLayer(tw, tmp, id, s.size); err != nil {
			return err
		}
		layers, names = append(layers, s), append(names, id+"/layer.tar")
	}
	config := document(img, "linux/amd64", layers)
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest := encode([]object{{"Config": name, "RepoTags": []string{"corpus:latest"}, "Layers": names}})
	err = errors.Join(addFile(tw, name, config), addFile(tw, "manifest.json", manifest), addFile(tw, "repositories", []byte(`{"corpus":{}}`)))
	if err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return f.Close()
}

func addFile(tw *tar.Writer, name string, body []byte) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: stamp}); err != nil {
		return err
	}
	_, err := tw.Write(body)
	return err
}

// addLayer moves a layer from a file to an archive.
func addLayer(tw *tar.Writer, path, id string, size int64) error {
	defer os.Remove(path)
	if err := addFile(tw, id+"/VERSION", []byte("1.0")); err != nil {
		return err
	}
	if err := addFile(tw, id+"/json", encode(object{"id": id, "created": created})); err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: id + "/layer.tar", Mode: 0o644, Size: size, ModTime: stamp}); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}
