package corpus

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writer is an OCI layout in the making. See https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
type writer struct {
	dir    string
	shape  Shape
	layers map[string]stored // by createdBy, because platforms share most
	err    error
}

var layerTypes = map[Shape]types.MediaType{OCI: types.OCIUncompressedLayer, Gzip: types.OCILayer, Zstd: types.OCILayerZStd}

func writeLayout(dir string, shape Shape, img contents) error {
	w := &writer{dir: dir, shape: shape, layers: map[string]stored{}}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	first := w.platform(img, "linux/amd64", img.manifest)
	manifests := []object{first}
	if img.other != nil {
		manifests = append(manifests, w.platform(*img.other, "linux/arm64", nil))
	}
	if img.statements != nil {
		manifests = append(manifests, w.attestation(img.statements, first))
	}
	root := w.blob(types.OCIImageIndex, encode(object{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": manifests, "annotations": img.index}))
	root["annotations"] = object{"org.opencontainers.image.ref.name": "latest"}
	w.write("index.json", encode(object{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": []object{root}}))
	w.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return w.err
}

func (w *writer) write(name string, body []byte) {
	if err := os.WriteFile(filepath.Join(w.dir, name), body, 0o644); err != nil && w.err == nil {
		w.err = err
	}
}

// blob stores a document and returns its descriptor.
func (w *writer) blob(mediaType types.MediaType, body []byte) object {
	sum := fmt.Sprintf("%x", sha256.Sum256(body))
	w.write("blobs/sha256/"+sum, body)
	return descriptor(mediaType, sum, int64(len(body)))
}

func descriptor(mediaType types.MediaType, sum string, size int64) object {
	return object{"mediaType": mediaType, "digest": "sha256:" + sum, "size": size}
}

func (w *writer) platform(img contents, platform string, annotations map[string]string) object {
	var layers []stored
	var descriptors []object
	for _, l := range img.layers {
		s := w.layer(l)
		layers = append(layers, s)
		descriptors = append(descriptors, descriptor(layerTypes[w.shape], s.digest, s.size))
	}
	manifest := object{"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "layers": descriptors,
		"config": w.blob(types.OCIConfigJSON, document(img, platform, layers))}
	if annotations != nil {
		manifest["annotations"] = annotations
	}
	d := w.blob(types.OCIManifestSchema1, encode(manifest))
	d["platform"] = object{"os": "linux", "architecture": platform[len("linux/"):]}
	return d
}

func (w *writer) layer(l layer) stored {
	if s, ok := w.layers[l.createdBy]; ok || w.err != nil {
		return s
	}
	tmp := filepath.Join(w.dir, "layer.tmp")
	s, err := storeLayer(tmp, w.shape, l)
	if err == nil {
		err = os.Rename(tmp, filepath.Join(w.dir, "blobs", "sha256", s.digest))
	}
	if err != nil {
		w.err = err
	}
	w.layers[l.createdBy] = s
	return s
}

// attestation is a manifest with statements about an image, as BuildKit makes it.
func (w *writer) attestation(statements []statement, about object) object {
	var layers []object
	for _, s := range statements {
		d := w.blob("application/vnd.in-toto+json", encode(object{"_type": "https://in-toto.io/Statement/v0.1",
			"subject": []object{{"name": "corpus"}}, "predicateType": s.predicateType, "predicate": s.body}))
		d["annotations"] = object{"in-toto.io/predicate-type": s.predicateType}
		layers = append(layers, d)
	}
	config := w.blob(types.OCIConfigJSON, encode(object{"os": "unknown", "architecture": "unknown", "config": object{}, "rootfs": object{"type": "layers", "diff_ids": []string{}}}))
	d := w.blob(types.OCIManifestSchema1, encode(object{"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "config": config, "layers": layers}))
	d["platform"] = object{"os": "unknown", "architecture": "unknown"}
	d["annotations"] = object{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about["digest"]}
	return d
}
