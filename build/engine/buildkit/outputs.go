package buildkit

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/util/buildflags"
	"github.com/moby/buildkit/client"
	"github.com/tightlip/tightlip/build"
)

// place is where an output goes once it is proven.
type place string

const (
	inStore   place = "store"   // Docker's own image store, in which the engine already put it
	inDaemon  place = "daemon"  // loaded into a Docker daemon
	registry  place = "push"    // pushed
	archive   place = "archive" // a file: OCI or Docker archive
	layout    place = "layout"  // a folder: OCI layout
	folder    place = "folder"  // a folder: the root file system
	tarball   place = "tarball" // a file: the root file system
	cacheOnly place = "cache"   // nowhere: it stays in the build cache
	unnamed   place = "unnamed" // nowhere: Docker's store holds it until it is proven, without a name
)

// output is one thing that the user wants of a build.
type output struct {
	place    place
	names    []string          // tags
	dest     string            // a path; "-" is standard output
	attrs    map[string]string // for the exporter
	docker   bool              // of an archive: Docker's format, else OCI's
	byDigest bool              // of a push: without a tag
	insecure bool              // of a push: plain HTTP, or TLS that cannot be verified
	context  string            // of a load: which Docker context
	push     bool              // of a store: push it, too
	delete   bool              // of a folder: what is there and was not built goes
}

// namingAttrs are what an exporter must not see before the proof: with one of them it names the image.
var namingAttrs = []string{"name", "push", "push-by-digest", "registry.insecure", "context", "tar", "name-canonical", "dangling-name-prefix", "mode"}

// planOutputs decides what becomes of the build's result.
func planOutputs(r *build.Request, kind builderKind) ([]output, error) {
	entries, err := buildflags.ParseExports(r.Output)
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: "--output type=local,dest=FOLDER"}
	}
	entries = addShorthands(entries, r, kind)
	var outputs []output
	for _, e := range entries {
		o, err := planOutput(e, r, kind.dockerStore)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, o)
	}
	if err := checkDeletes(outputs, r.Allow); err != nil {
		return nil, err
	}
	if len(outputs) == 0 {
		outputs = append(outputs, output{place: cacheOnly})
	}
	return outputs, nil
}

// addShorthands does what --push and --load mean to buildx.
func addShorthands(entries []*buildflags.ExportEntry, r *build.Request, kind builderKind) []*buildflags.ExportEntry {
	isImage := func(e *buildflags.ExportEntry) bool { return e.Type == client.ExporterImage || e.Type == "registry" }
	isLoad := func(e *buildflags.ExportEntry) bool { return e.Type == client.ExporterDocker && e.Destination == "" }
	if r.Push {
		if i := slices.IndexFunc(entries, isImage); i >= 0 {
			entries[i].Attrs = with(entries[i].Attrs, "push", "true")
		} else {
			entries = append(entries, &buildflags.ExportEntry{Type: "registry"})
		}
	}
	if r.Load && !slices.ContainsFunc(entries, isLoad) {
		entries = append(entries, &buildflags.ExportEntry{Type: client.ExporterDocker})
	}
	switch {
	case len(entries) > 0:
	case kind.dockerStore:
		entries = append(entries, &buildflags.ExportEntry{Type: client.ExporterImage})
	case kind.defaultLoad:
		entries = append(entries, &buildflags.ExportEntry{Type: client.ExporterDocker})
	}
	return entries
}

func with(attrs map[string]string, key, value string) map[string]string {
	attrs = maps.Clone(attrs)
	if attrs == nil {
		attrs = map[string]string{}
	}
	attrs[key] = value
	return attrs
}

func planOutput(e *buildflags.ExportEntry, r *build.Request, dockerStore bool) (output, error) {
	o := output{dest: e.Destination, attrs: maps.Clone(e.Attrs), names: r.Tag, context: e.Attrs["context"]}
	if name := e.Attrs["name"]; len(o.names) == 0 && name != "" {
		o.names = strings.Split(name, ",")
	}
	push, err1 := flag(e.Attrs, "push", e.Type == "registry")
	tar, err2 := flag(e.Attrs, "tar", true)
	byDigest, err3 := flag(e.Attrs, "push-by-digest", false)
	insecure, err4 := flag(e.Attrs, "registry.insecure", false)
	mode, err5 := localMode(e)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return o, err
		}
	}
	o.delete = mode == client.LocalExporterModeDelete
	o.byDigest, o.insecure, o.docker = byDigest, insecure, e.Type == client.ExporterDocker
	maps.DeleteFunc(o.attrs, func(k, _ string) bool { return slices.Contains(namingAttrs, k) })
	if o.attrs == nil {
		o.attrs = map[string]string{}
	}
	if push && len(o.names) == 0 {
		return o, &build.UsageError{Err: fmt.Errorf("a push needs a name"), Try: "-t REGISTRY/NAME:TAG"}
	}
	var err error
	o.place, err = o.decide(e, push, tar, dockerStore)
	o.push = push && o.place == inStore
	return o, err
}

// decide finds the place that an exporter's type means.
func (o output) decide(e *buildflags.ExportEntry, push, tar, dockerStore bool) (place, error) {
	switch e.Type {
	case client.ExporterImage, "registry":
		switch {
		case dockerStore:
			return inStore, nil
		case push:
			return registry, nil
		}
		return "", &build.UsageError{
			Err: fmt.Errorf("this builder has no image store to name an image in"),
			Try: "--push, --load, or --output type=oci,dest=FILE",
		}
	case client.ExporterDocker, client.ExporterOCI:
		switch {
		case e.Type == client.ExporterDocker && o.dest == "" && dockerStore && o.context == "":
			return inStore, nil
		case e.Type == client.ExporterDocker && o.dest == "":
			return inDaemon, nil
		case !tar:
			return layout, o.needFolder(e.Type)
		}
		return archive, nil
	case client.ExporterLocal:
		return folder, o.needFolder(e.Type)
	case client.ExporterTar:
		return tarball, nil
	case "cacheonly":
		if dockerStore {
			return unnamed, nil
		}
		return cacheOnly, nil
	}
	return "", &build.UsageError{Err: fmt.Errorf("unknown output type %q", e.Type), Try: "type= one of image, registry, docker, oci, local, tar, cacheonly"}
}

func localMode(e *buildflags.ExportEntry) (client.LocalExporterMode, error) {
	if e.Type != client.ExporterLocal {
		return "", nil
	}
	mode, err := client.ParseLocalExporterMode(e.Attrs["mode"])
	if err != nil {
		return "", &build.UsageError{Err: err, Try: "mode=copy or mode=delete"}
	}
	return mode, nil
}

// checkDeletes refuses to empty a folder outside the working folder, unless the user allowed it, as buildx does.
func checkDeletes(outputs []output, allow []string) error {
	var list []client.ExportEntry
	for _, o := range outputs {
		if o.delete {
			attrs := map[string]string{"mode": string(client.LocalExporterModeDelete)}
			list = append(list, client.ExportEntry{Type: client.ExporterLocal, Attrs: attrs, OutputDir: o.dest})
		}
	}
	_, allowed, err := buildflags.ParseEntitlements(allow)
	if err == nil {
		err = bx.ValidateLocalExportDelete(list, allowed)
	}
	if err != nil {
		return &build.UsageError{Err: err}
	}
	return nil
}

func (o output) needFolder(exporter string) error {
	if o.dest == "" || o.dest == "-" {
		return &build.UsageError{Err: fmt.Errorf("the %s exporter needs a folder", exporter), Try: "--output type=" + exporter + ",dest=FOLDER"}
	}
	return nil
}

func flag(attrs map[string]string, key string, def bool) (bool, error) {
	v, ok := attrs[key]
	if !ok || v == "" {
		return def, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, &build.UsageError{Err: fmt.Errorf("%s=%s of an output is neither true nor false", key, v)}
	}
	return b, nil
}

// holdsImage tells whether an output is an image that needs an OCI layout to be proven and named from.
func (o output) holdsImage() bool {
	return slices.Contains([]place{inDaemon, registry, archive, layout, cacheOnly}, o.place)
}

// layoutOf is the first output whose staged OCI layout also serves output n: images with the same exporter
// attributes are written once.
func layoutOf(outputs []output, n int) int {
	return slices.IndexFunc(outputs, func(o output) bool {
		return o.holdsImage() && maps.Equal(o.attrs, outputs[n].attrs)
	})
}

// stagedAt is where the engine puts output n until it is proven. It is never beside the destination, which may be in the
// build context: what a killed build leaves there would be in the next image.
func stagedAt(outputs []output, n int, stage string) string {
	if outputs[n].holdsImage() {
		n = layoutOf(outputs, n)
	}
	return filepath.Join(stage, fmt.Sprintf("output-%d", n))
}

// stored tells whether an output is in Docker's own store before it is proven.
func (o output) stored() bool { return o.place == inStore || o.place == unnamed }
