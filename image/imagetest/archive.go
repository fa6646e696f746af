package imagetest

import (
	"archive/tar"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// OldArchive is what docker save writes before version 25: a folder for each layer, and a symbolic link in place of
// a layer that came up before.
func OldArchive(t testing.TB, name string, img v1.Image) []byte {
	t.Helper()
	var files []File
	var names []string
	first := map[v1.Hash]string{}
	for i, l := range layersOf(t, img) {
		diffID, err := l.DiffID()
		must(t, err)
		id := strings.Repeat(string(rune('a'+i)), 64)
		f := File{Name: id + "/layer.tar"}
		if at, ok := first[diffID]; ok {
			f.Type, f.Link = tar.TypeSymlink, "../"+at+"/layer.tar"
		} else {
			first[diffID] = id
			f.Body = unpacked(t, l)
		}
		names = append(names, f.Name)
		files = append(files, File{Name: id + "/"}, File{Name: id + "/VERSION", Body: "1.0"}, f)
	}
	raw, id := configOf(t, img)
	config := id.Hex + ".json"
	repo, _, _ := strings.Cut(name, ":")
	files = append(files,
		File{Name: config, Body: raw},
		File{Name: "manifest.json", Body: manifestJSON(t, config, name, names)},
		File{Name: "repositories", Body: `{"` + repo + `":{}}`})
	return Tar(t, files...)
}

// NewArchive is what docker save writes since version 25 without the containerd store: unpacked layers among blobs.
func NewArchive(t testing.TB, name string, img v1.Image) []byte {
	t.Helper()
	files := []File{{Name: "blobs/"}, {Name: "blobs/sha256/"}}
	var names []string
	for _, l := range layersOf(t, img) {
		diffID, err := l.DiffID()
		must(t, err)
		f := File{Name: blobPath(diffID), Body: unpacked(t, l)}
		if !slices.Contains(names, f.Name) {
			files = append(files, f)
		}
		names = append(names, f.Name)
	}
	raw, id := configOf(t, img)
	files = append(files,
		File{Name: blobPath(id), Body: raw},
		File{Name: "manifest.json", Body: manifestJSON(t, blobPath(id), name, names)})
	return Tar(t, files...)
}

func layersOf(t testing.TB, img v1.Image) []v1.Layer {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	return layers
}

func unpacked(t testing.TB, l v1.Layer) string {
	t.Helper()
	r, err := l.Uncompressed()
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func configOf(t testing.TB, img v1.Image) (string, v1.Hash) {
	t.Helper()
	raw, err := img.RawConfigFile()
	must(t, err)
	id, err := img.ConfigName()
	must(t, err)
	return string(raw), id
}

func manifestJSON(t testing.TB, config, name string, layers []string) string {
	t.Helper()
	b, err := json.Marshal([]map[string]any{{"Config": config, "RepoTags": []string{name}, "Layers": layers}})
	must(t, err)
	return string(b)
}

func blobPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }
