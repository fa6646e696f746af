package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// OpenContext opens a folder as the build context that docker build makes of it: like OpenDir, but without what its
// .dockerignore leaves out, or the ignore file of opts.
func OpenContext(dir string, opts Options) (Image, error) {
	ref := Ref{Scheme: Context, Name: dir}.String()
	ignore, err := ReadIgnore(dir, opts.ContextIgnore)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref, err)
	}
	return &folder{ref: ref, dir: dir, root: root, ignore: ignore}, nil
}

// Ignore is what an ignore file leaves out of a build context. Nil leaves nothing out.
type Ignore struct {
	patterns *patternmatcher.PatternMatcher
}

// ReadIgnore reads the ignore file of a build context, or the given one instead, which belongs to a Dockerfile. Ignore files and
// Dockerfiles themselves are always part of the context.
func ReadIgnore(dir, file string) (*Ignore, error) {
	sent := []string{"!Dockerfile", "!.dockerignore"}
	if file != "" {
		if rel, err := filepath.Rel(dir, file); err == nil {
			rel = filepath.ToSlash(rel)
			sent = []string{"!" + rel, "!" + strings.TrimSuffix(rel, ".dockerignore")}
		}
	}
	patterns, err := readPatterns(dir, file)
	if err != nil {
		return nil, err
	}
	m, err := patternmatcher.New(append(patterns, sent...))
	if err != nil {
		return nil, err
	}
	return &Ignore{m}, nil
}

func readPatterns(dir, file string) ([]string, error) {
	name := file
	if name == "" {
		name = filepath.Join(dir, ".dockerignore")
	}
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading %s: it is no file", name)
	}
	f, err := os.Open(name)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return patterns, nil
}

// LeavesOut tells whether an entry, by its path with slashes from the context, is no part of it. The error is fs.SkipDir if nothing
// below it is, either.
func (i *Ignore) LeavesOut(p string, isDir bool) (bool, error) {
	if i == nil || p == "." {
		return false, nil
	}
	out, err := i.patterns.MatchesOrParentMatches(p)
	if out && isDir && !i.exception(p) {
		err = fs.SkipDir
	}
	return out, err
}

// exception tells whether a pattern with an exclamation mark may bring back something in a folder. BuildKit looks below all
// folders if one has a wildcard, too.
func (i *Ignore) exception(dir string) bool {
	for _, pattern := range i.patterns.Patterns() {
		name := filepath.ToSlash(pattern.String())
		if pattern.Exclusion() && (strings.ContainsAny(name, `*?[\`) || strings.HasPrefix(name, dir+"/")) {
			return true
		}
	}
	return false
}
