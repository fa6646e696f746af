package output

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
)

// PushOptions are how the user wants an output to be pushed.
func (o Output) PushOptions() sink.Options {
	if !o.Insecure {
		return sink.Options{}
	}
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the user asked for it: registry.insecure
	return sink.Options{Transport: transport}
}

// mergeLayout adds an image to the OCI layout at dest: its blobs first, and last the index, which names it.
func mergeLayout(from, dest, digest string, names []string) error {
	into, err := ocilayout.FromPath(dest)
	if errors.Is(err, os.ErrNotExist) {
		into, err = ocilayout.Write(dest, empty.Index)
	}
	if err != nil {
		return fmt.Errorf("writing to the OCI layout %s: %w", dest, err)
	}
	if err := MoveTree(filepath.Join(from, "blobs"), filepath.Join(dest, "blobs")); err != nil {
		return fmt.Errorf("writing to the OCI layout %s: %w", dest, err)
	}
	desc, err := describe(from, digest)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return into.AppendDescriptor(desc)
	}
	for _, name := range names {
		d := desc
		d.Annotations = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tagOf(name)}
		if err := into.RemoveDescriptors(match.Annotation("io.containerd.image.name", name)); err != nil {
			return err
		}
		if err := into.AppendDescriptor(d); err != nil {
			return err
		}
	}
	return nil
}

// describe finds the descriptor of an image in a staged layout.
func describe(dir, digest string) (v1.Descriptor, error) {
	index, err := ocilayout.ImageIndexFromPath(dir)
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, d := range manifest.Manifests {
		if d.Digest.String() == digest {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("%s is not in the staged layout", digest)
}

func tagOf(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	if t, ok := ref.(reference.Tagged); ok {
		return t.Tag()
	}
	return name
}

// Normalize makes full references of names, as BuildKit's exporters do.
func Normalize(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, &build.UsageError{Err: fmt.Errorf("the name %q is not valid: %w", name, err)}
		}
		out = append(out, reference.TagNameOnly(ref).String())
	}
	return out, nil
}

// WriteFiles writes what a request wants to have in files: the image's ID, and what is known of it.
func WriteFiles(r *build.Request, id string, metadata map[string]string) error {
	text, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{r.IIDFile: []byte(id), r.MetadataFile: text} {
		if name == "" {
			continue
		}
		if err := build.WriteFile(name, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}
