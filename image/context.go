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
// .dockerignore leaves out, or the ignore file of opts. Ignore files and Dockerfiles themselves are always part of it.
func OpenContext(dir string, opts Options) (Image, error) {
	ref := Ref{Scheme: Context, Name: dir}.String()
	ignore, err := readIgnore(dir, opts.ContextIgnore)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref, err)
	}
	return &folder{ref: ref, dir: dir, root: root, ignore: ignore}, nil
}

// readIgnore reads the ignore file of a build context, or the given one instead, which belongs to a Dockerfile.
func readIgnore(dir, file string) (*patternmatcher.PatternMatcher, error) {
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
	return patternmatcher.New(append(patterns, sent...))
}

func readPatterns(dir, file string) ([]string, error) {
	name := file
	if name == "" {
		name = filepath.Join(dir, ".dockerignore")
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

// leftOut tells whether an entry is no part of a build context. The error is fs.SkipDir if nothing below it is, either.
func (f *folder) leftOut(p string, d fs.DirEntry) (bool, error) {
	if f.ignore == nil || p == "." {
		return false, nil
	}
	out, err := f.ignore.MatchesOrParentMatches(p)
	if out && d.IsDir() && !f.exception(p) {
		err = fs.SkipDir
	}
	return out, err
}

// exception tells whether a pattern with an exclamation mark may bring back something in a folder. BuildKit looks below all
// folders if one has a wildcard, too.
func (f *folder) exception(dir string) bool {
	for _, pattern := range f.ignore.Patterns() {
		name := filepath.ToSlash(pattern.String())
		if pattern.Exclusion() && (strings.ContainsAny(name, `*?[\`) || strings.HasPrefix(name, dir+"/")) {
			return true
		}
	}
	return false
}
