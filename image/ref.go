package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// Scheme says where an image is kept.
type Scheme string

// The schemes of a reference. Without one, Open looks for a path, then in the daemon, in podman's storage and in the
// registry.
const (
	Auto      Scheme = ""
	Docker    Scheme = "docker"    // a Docker daemon: a name or an image ID
	Podman    Scheme = "podman"    // podman's storage of the current user: a name or an image ID
	Registry  Scheme = "registry"  // a registry, never the daemon
	OCI       Scheme = "oci"       // an OCI layout folder
	Tar       Scheme = "tar"       // a Docker or OCI archive, or a root file system
	Dir       Scheme = "dir"       // a root file system folder
	Context   Scheme = "context"   // a build context folder: what docker build sends of it
	Container Scheme = "container" // a container of a Docker daemon: a name or an ID
)

// Ref names an image. Its String parses back to it.
type Ref struct {
	Scheme Scheme
	Name   string // the name of an image or container, or a path
	Select string // in an OCI layout: a tag or a digest, or "" for everything
}

// ErrRef is the error of a reference that cannot be one.
var ErrRef = errors.New("not an image reference")

var (
	tagPattern    = lazy.Regexp(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern = lazy.Regexp(`^sha(256:[a-f0-9]{64}|512:[a-f0-9]{128})$`)
)

// ParseRef reads SCHEME:NAME, or NAME alone. A folder whose own name ends in what looks like a tag is written
// with a slash at its end: oci:./a:b/. An image called like a scheme needs the scheme twice: docker:docker:27.
func ParseRef(s string) (Ref, error) {
	r := Ref{Name: s}
	for _, scheme := range []Scheme{Docker, Podman, Registry, OCI, Tar, Dir, Context, Container} {
		if rest, ok := strings.CutPrefix(s, string(scheme)+":"); ok {
			r = Ref{Scheme: scheme, Name: rest}
			break
		}
	}
	if r.Scheme == OCI {
		r.Name, r.Select = splitSelect(r.Name)
	}
	if r.Name == "" {
		return Ref{}, fmt.Errorf("%w: %q: write an image name or a path", ErrRef, s)
	}
	if strings.ContainsRune(r.Name, 0) {
		return Ref{}, fmt.Errorf("%w: %q has a zero byte", ErrRef, s)
	}
	return r, nil
}

// splitSelect takes the tag or digest off the path of an OCI layout.
func splitSelect(s string) (dir, sel string) {
	if at := strings.LastIndexByte(s, '@'); at >= 0 && digestPattern().MatchString(s[at+1:]) {
		return s[:at], s[at+1:]
	}
	if at := strings.LastIndexByte(s, ':'); at >= 0 && tagPattern().MatchString(s[at+1:]) {
		return s[:at], s[at+1:]
	}
	return s, ""
}

// String is the reference as ParseRef reads it.
func (r Ref) String() string {
	s := r.Name
	if r.Scheme != Auto {
		s = string(r.Scheme) + ":" + s
	}
	switch {
	case r.Select == "":
		return s
	case digestPattern().MatchString(r.Select):
		return s + "@" + r.Select
	}
	return s + ":" + r.Select
}
