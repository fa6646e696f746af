// Package corpus writes container images that have secrets in them, and says where each one is, so that scanners can be
// measured. It knows nothing of any scanner.
//
// All secrets are made up while the image is written. They look as real ones do, down to the check digits of tokens, and
// open nothing. Hosts end in .internal, because .example would mark documentation.
package corpus

import (
	"fmt"
	"os"
	"path/filepath"
)

// Shape is a way to store an image.
type Shape string

// The shapes. The three OCI layouts also have what a docker archive cannot hold: a second platform, annotations, provenance.
const (
	Docker Shape = "docker" // what docker save writes before version 25, with a folder for each layer
	OCI    Shape = "oci"    // an OCI layout with layers that are not compressed
	Gzip   Shape = "gzip"   // an OCI layout
	Zstd   Shape = "zstd"   // an OCI layout
)

// Shapes lists all shapes.
func Shapes() []Shape { return []Shape{Docker, OCI, Gzip, Zstd} }

// Ref is tightlip's reference to the image that Write wrote to dir.
func (s Shape) Ref(dir string) string {
	if s == Docker {
		return "tar:" + filepath.Join(dir, "image.tar")
	}
	return "oci:" + dir
}

// Options are what to write.
type Options struct {
	Shape Shape
	// Stock lists files and folders of this machine for the lowest layer, under their own names.
	Stock []string
	// StockOnly leaves all secrets away.
	StockOnly bool
}

// The layers from the lowest, as findings count them.
const (
	layerBase = iota + 1
	layerCredentials
	layerCode
	layerPacked
	layerInnocent
	layerStaging // what the next two hide
	layerCleanup
	layerOwn // of each platform
)

// Write writes an image to a new or empty folder and returns what was planted. The same seed makes the same image, except
// for what cannot be made without randomness: private keys and what other tools make. What needs a tool that is missing
// here is left away.
func Write(dir string, seed uint64, o Options) ([]Planted, error) {
	work, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	b := &builder{seed: seed, shape: o.Shape, work: work}
	layers := []layer{{createdBy: "ADD rootfs.tar.xz / # buildkit", files: base(), stock: o.Stock}}
	img := contents{layers: layers, config: object{"config": object{}}}
	if !o.StockOnly {
		img = b.contents(layers)
	}
	if b.err != nil {
		return nil, fmt.Errorf("making secrets: %w", b.err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if o.Shape == Docker {
		err = writeArchive(dir, img)
	} else {
		err = writeLayout(dir, o.Shape, img)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the image: %w", err)
	}
	return b.planted, nil
}

// builder makes the content of an image.
type builder struct {
	seed    uint64
	shape   Shape
	work    string // a folder for what tools write
	planted []Planted
	err     error // the first one
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// object is a JSON object.
type object = map[string]any

// file is an entry of a layer: a folder if its name ends in a slash, a symbolic link if it has one.
type file struct {
	name, body, link string
	pax              map[string]string
}

type layer struct {
	createdBy string
	files     []file
	stock     []string
}

// contents are an image before it is stored.
type contents struct {
	layers     []layer // of the first platform
	config     object
	other      *contents // the second platform
	manifest   map[string]string
	index      map[string]string
	statements []statement
}

// statement is an attestation about the first platform.
type statement struct {
	predicateType string
	body          object
}

func (b *builder) contents(layers []layer) contents {
	layers = append(layers,
		layer{createdBy: "COPY rootfs/ / # buildkit", files: b.sets(layerCredentials, "packages", "forges", "cloud", "data", "system")},
		layer{createdBy: "COPY app/ / # buildkit", files: append(b.sets(layerCode, "tokens", "code"), b.large()...)},
		layer{createdBy: "COPY dist/ / # buildkit", files: append(b.packed(), b.made()...)},
		layer{createdBy: "COPY product/ /opt/product/ # buildkit", files: b.sets(layerInnocent, "innocent", "innocent-code")},
		layer{createdBy: "COPY staging/ / # buildkit", files: b.staging()},
		layer{createdBy: "RUN /bin/sh -c ./cleanup # buildkit", files: b.cleanup()},
	)
	img := contents{layers: append(layers, layer{createdBy: "COPY own-amd64/ / # buildkit", files: b.own("linux/amd64")})}
	img.config = b.config(img.layers)
	if b.shape == Docker {
		return img
	}
	img.other = &contents{layers: append(layers[:len(layers):len(layers)], layer{createdBy: "COPY own-arm64/ / # buildkit", files: b.own("linux/arm64")})}
	img.other.config = plainConfig(img.other.layers)
	img.manifest, img.index = b.manifestAnnotations(), b.indexAnnotations()
	img.statements = b.statements()
	return img
}

// base is what every image has.
func base() []file {
	return []file{
		{name: "etc/"}, {name: "etc/passwd", body: "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/home/app:/bin/sh\n"},
		{name: "etc/os-release", body: "ID=debian\nVERSION_ID=12\n"},
		{name: "bin", link: "usr/bin"},
	}
}
