package image

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// document is the union of all manifests and indexes, whatever their media types call them.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Blobs         []v1.Descriptor `json:"blobs"` // of OCI's short-lived artifact manifest
	Subject       *v1.Descriptor  `json:"subject"`
	FSLayers      json.RawMessage `json:"fsLayers"` // of schema 1
}

func parseDocument(raw []byte, name string) (document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fmt.Errorf("reading manifest %s: %w", name, err)
	}
	if d.SchemaVersion == 1 || isSchema1(d.MediaType) || d.FSLayers != nil {
		return d, fmt.Errorf("manifest %s: %w", name, ErrSchema1)
	}
	// A document that is both would be read in one way by us and in another by an engine (CVE-2021-41190).
	if d.Manifests != nil && (d.Config != nil || d.Layers != nil) {
		return d, fmt.Errorf("manifest %s: %w: it is a manifest and an index at once", name, ErrMediaType)
	}
	return d, nil
}

// isIndex tells an index from a manifest. An empty one has nothing but its media type to say so.
func (d document) isIndex() bool {
	return d.Manifests != nil || d.MediaType == v1.MediaTypeImageIndex || d.MediaType == typeDockerIndex
}

// isAbout tells manifests that hold statements about an image. Signatures have an image's config type, so that only
// their layers and their subject tell.
func (d document) isAbout() bool {
	notLayer := func(l v1.Descriptor) bool { return !layerTypes[l.MediaType] }
	notStatement := func(l v1.Descriptor) bool { return l.MediaType != typeInToto }
	if d.Subject != nil {
		return len(d.Layers) == 0 || slices.ContainsFunc(d.Layers, notLayer)
	}
	return len(d.Layers) > 0 && !slices.ContainsFunc(d.Layers, notStatement)
}

// blobs are all descriptors in the document that lead to content.
func (d document) blobs() []v1.Descriptor {
	all := slices.Concat(d.Layers, d.Blobs)
	if d.Config != nil {
		all = append(all, *d.Config)
	}
	return all
}

// config is what an image config says about the image's structure.
type config struct {
	v1.Platform
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	History []v1.History `json:"history"`
}

// parseConfig reads the config of an image with that many layers.
func parseConfig(raw []byte, name string, layers int) (config, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("reading config %s: %w", name, err)
	}
	if n := len(c.RootFS.DiffIDs); n != 0 && n != layers {
		return c, fmt.Errorf("config %s lists %d layers, the manifest %d", name, n, layers)
	}
	return c, nil
}

// layers joins what the manifest says of the layers with what the config does.
func (c config) layers(digests []string) []Layer {
	out := make([]Layer, len(digests))
	entries := layerEntries(c.History)
	for i, d := range digests {
		out[i] = Layer{Digest: d, History: -1}
		if i < len(c.RootFS.DiffIDs) {
			out[i].DiffID = string(c.RootFS.DiffIDs[i])
		}
		if i < len(entries) {
			out[i].History = entries[i]
			out[i].CreatedBy = c.History[entries[i]].CreatedBy
		}
	}
	return out
}

// layerEntries are the indexes of the history entries that made a layer.
func layerEntries(history []v1.History) []int {
	var at []int
	for i, h := range history {
		if !h.EmptyLayer {
			at = append(at, i)
		}
	}
	return at
}

// History reads the commands in the history of an image config, the oldest first; nil if the document is none.
func History(document []byte) []string {
	var config struct {
		History []struct {
			CreatedBy string `json:"created_by"`
		} `json:"history"`
	}
	if json.Unmarshal(document, &config) != nil {
		return nil
	}
	var out []string
	for _, h := range config.History {
		out = append(out, h.CreatedBy)
	}
	return out
}
