package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/lint"
)

// mend writes the fixes of a check and checks again. Its error may come with a result: what is left if not all could be written.
func (a *app) mend(ctx context.Context, p *project, r *lint.Result) (*lint.Result, error) {
	fixes := r.Fixes
	if len(fixes) == 0 {
		if counted, _ := count(r); counted > 0 {
			a.say("nothing could be mended")
		}
		return r, nil
	}
	for _, f := range fixes { // before the first is written
		if err := p.unchanged(f); err != nil {
			return r, fmt.Errorf("nothing was mended: %w", err)
		}
	}
	var failed error
	for _, f := range fixes {
		err := build.WriteFile(p.path(f), func(w io.Writer) error { _, err := w.Write(f.After); return err })
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if f.Before == nil {
			a.say("wrote %s", p.shown(f.Path))
		} else {
			a.say("changed %s", p.shown(f.Path))
		}
	}
	for _, h := range r.Hints {
		a.say("hint: %s", h)
	}
	left, err := p.check(ctx)
	return left, errors.Join(failed, err)
}

func (p *project) path(f lint.Fix) string {
	if filepath.IsAbs(f.Path) {
		return f.Path
	}
	return filepath.Join(p.options.folder, filepath.FromSlash(f.Path))
}

// unchanged makes sure that the file is as the fix knows it, and that it is in the project if its path is.
func (p *project) unchanged(f lint.Fix) error {
	text, err := os.ReadFile(p.path(f))
	switch {
	case f.Before == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case f.Before != nil && err != nil:
		return err
	case f.Before == nil || !bytes.Equal(text, f.Before):
		return fmt.Errorf("%s is no longer as it was read", p.shown(f.Path))
	}
	root, err := filepath.EvalSymlinks(p.options.folder)
	if err != nil {
		return err
	}
	file, err := filepath.EvalSymlinks(p.path(f))
	if err != nil {
		return err
	}
	if inside, err := filepath.Rel(root, file); filepath.IsLocal(f.Path) && (err != nil || !filepath.IsLocal(inside)) {
		return fmt.Errorf("%s is a link to a file outside of the project", p.shown(f.Path))
	}
	return nil
}

// diff is a fix as a unified diff without values: what is removed may be a secret.
func (p *project) diff(f lint.Fix) string {
	mask := func(text []byte) []byte { return []byte(p.detector.Mask(string(text))) } // what only the lines around it tell
	from, to := "a/"+p.shown(f.Path), "b/"+p.shown(f.Path)
	if f.Before == nil {
		from = os.DevNull
	}
	var out strings.Builder
	inHunk := false
	for line := range strings.Lines(string(diff.Diff(from, mask(f.Before), to, mask(f.After)))) {
		body := strings.TrimSpace(line[1:])
		switch {
		case strings.HasPrefix(line, "@@ "):
			inHunk = true
		case strings.HasPrefix(line, "diff "): // git apply would take it for its own
			continue
		case inHunk && body != "":
			line = strings.Replace(line, body, p.detector.MaskCommand(body), 1)
		}
		out.WriteString(line)
	}
	return out.String()
}
