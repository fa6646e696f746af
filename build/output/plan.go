// Package output decides what becomes of what a build makes, and brings it there once it is proven.
package output

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

// Place is where an Output goes once it is proven.
type Place string

const (
	InStore   Place = "store"   // the builder's own image store, in which it already is
	InDaemon  Place = "daemon"  // loaded into a Docker daemon
	Registry  Place = "push"    // pushed
	Archive   Place = "archive" // a file: OCI or Docker archive
	Layout    Place = "layout"  // a folder: OCI layout
	Folder    Place = "folder"  // a folder: the root file system
	Tarball   Place = "tarball" // a file: the root file system
	CacheOnly Place = "cache"   // nowhere: it stays in the build cache
	Unnamed   Place = "unnamed" // nowhere: the builder's store holds it until it is proven, without a name
)

// Output is one thing that the user wants of a build.
type Output struct {
	Place    Place
	Names    []string          // tags
	Dest     string            // a path; "-" is standard output
	Attrs    map[string]string // for the exporter
	Docker   bool              // of an archive: Docker's format, else OCI's
	ByDigest bool              // of a push: without a tag
	Insecure bool              // of a push: plain HTTP, or TLS that cannot be verified
	Context  string            // of a load: which Docker context
	Push     bool              // of a store: push it, too
	Delete   bool              // of a folder: what is there and was not built goes
}

// Builder is what planning has to know about a builder.
type Builder struct {
	Store       bool // what it builds is at once in an image store of its own
	DefaultLoad bool // what it builds is loaded into the Docker daemon unless the user wants something else
}

// NamingAttrs are what an exporter must not see before the proof: with one of them it names the image.
var NamingAttrs = []string{"name", "push", "push-by-digest", "registry.insecure", "context", "tar", "name-canonical", "dangling-name-prefix", "mode"}

// Plan decides what becomes of the build's result.
func Plan(r *build.Request, b Builder) ([]Output, error) {
	entries, err := buildflags.ParseExports(r.Output)
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: "--output type=local,dest=FOLDER"}
	}
	entries = addShorthands(entries, r, b)
	var outputs []Output
	for _, e := range entries {
		o, err := planOne(e, r, b.Store)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, o)
	}
	if err := checkDeletes(outputs, r.Allow); err != nil {
		return nil, err
	}
	if len(outputs) == 0 {
		outputs = append(outputs, Output{Place: CacheOnly})
	}
	return outputs, nil
}

// addShorthands does what --push and --load mean to buildx.
func addShorthands(entries []*buildflags.ExportEntry, r *build.Request, b Builder) []*buildflags.ExportEntry {
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
	case b.Store:
		entries = append(entries, &buildflags.ExportEntry{Type: client.ExporterImage})
	case b.DefaultLoad:
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

func planOne(e *buildflags.ExportEntry, r *build.Request, store bool) (Output, error) {
	o := Output{Dest: e.Destination, Attrs: maps.Clone(e.Attrs), Names: r.Tag, Context: e.Attrs["context"]}
	if name := e.Attrs["name"]; len(o.Names) == 0 && name != "" {
		o.Names = strings.Split(name, ",")
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
	o.Delete = mode == client.LocalExporterModeDelete
	o.ByDigest, o.Insecure, o.Docker = byDigest, insecure, e.Type == client.ExporterDocker
	maps.DeleteFunc(o.Attrs, func(k, _ string) bool { return slices.Contains(NamingAttrs, k) })
	if o.Attrs == nil {
		o.Attrs = map[string]string{}
	}
	if push && len(o.Names) == 0 {
		return o, &build.UsageError{Err: fmt.Errorf("a push needs a name"), Try: "-t REGISTRY/NAME:TAG"}
	}
	var err error
	o.Place, err = o.decide(e, push, tar, store)
	o.Push = push && o.Place == InStore
	return o, err
}

// decide finds the place that an exporter's type means.
func (o Output) decide(e *buildflags.ExportEntry, push, tar, store bool) (Place, error) {
	switch e.Type {
	case client.ExporterImage, "registry":
		switch {
		case store:
			return InStore, nil
		case push:
			return Registry, nil
		}
		return "", &build.UsageError{
			Err: fmt.Errorf("this builder has no image store to name an image in"),
			Try: "--push, --load, or --output type=oci,dest=FILE",
		}
	case client.ExporterDocker, client.ExporterOCI:
		switch {
		case e.Type == client.ExporterDocker && o.Dest == "" && store && o.Context == "":
			return InStore, nil
		case e.Type == client.ExporterDocker && o.Dest == "":
			return InDaemon, nil
		case !tar:
			return Layout, o.needFolder(e.Type)
		}
		return Archive, nil
	case client.ExporterLocal:
		return Folder, o.needFolder(e.Type)
	case client.ExporterTar:
		return Tarball, nil
	case "cacheonly":
		if store {
			return Unnamed, nil
		}
		return CacheOnly, nil
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
func checkDeletes(outputs []Output, allow []string) error {
	var list []client.ExportEntry
	for _, o := range outputs {
		if o.Delete {
			attrs := map[string]string{"mode": string(client.LocalExporterModeDelete)}
			list = append(list, client.ExportEntry{Type: client.ExporterLocal, Attrs: attrs, OutputDir: o.Dest})
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

func (o Output) needFolder(exporter string) error {
	if o.Dest == "" || o.Dest == "-" {
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

// HoldsImage tells whether an output is an image that needs an OCI layout to be proven and named from.
func (o Output) HoldsImage() bool {
	return slices.Contains([]Place{InDaemon, Registry, Archive, Layout, CacheOnly}, o.Place)
}

// LayoutOf is the first output whose staged OCI layout also serves output n: images with the same exporter
// attributes are written once.
func LayoutOf(outputs []Output, n int) int {
	return slices.IndexFunc(outputs, func(o Output) bool {
		return o.HoldsImage() && maps.Equal(o.Attrs, outputs[n].Attrs)
	})
}

// StagedAt is where the engine puts output n until it is proven. It is never beside the destination, which may be in the
// build context: what a killed build leaves there would be in the next image.
func StagedAt(outputs []Output, n int, stage string) string {
	if outputs[n].HoldsImage() {
		n = LayoutOf(outputs, n)
	}
	return filepath.Join(stage, fmt.Sprintf("output-%d", n))
}

// Stored tells whether an output is in the builder's own store before it is proven.
func (o Output) Stored() bool { return o.Place == InStore || o.Place == Unnamed }
