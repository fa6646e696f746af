package classic

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	contexts "github.com/docker/cli/cli/command/image/build"
	"github.com/moby/go-archive"
	"github.com/moby/go-archive/compression"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tightlip/tightlip/build"
)

// buildContext is what a build sends to the daemon: a folder, or an archive on our disk.
type buildContext struct {
	dir        string // the folder; empty for an archive
	archive    string
	excludes   []string
	dockerfile string // its path in the context; empty if it is not there
	text       []byte // the Dockerfile
	remove     string // a folder that goes with the context
}

// openContext finds the build context that a request means, and its Dockerfile.
func openContext(ctx context.Context, job build.Job, stdin io.Reader) (*buildContext, error) {
	r := job.Request
	kind, err := contexts.DetectContextType(r.Context)
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: "a folder, a URL or - as the build context"}
	}
	var c *buildContext
	switch kind {
	case contexts.ContextTypeLocal:
		c, err = localContext(r)
	case contexts.ContextTypeGit:
		c, err = gitContext(r)
	default:
		c, err = archiveContext(ctx, job, kind, stdin)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the build context: %w", err)
	}
	if r.File == "-" {
		c.text, c.dockerfile = job.Original, ""
	}
	return c, nil
}

func (c *buildContext) Close() error {
	if c.remove == "" {
		return nil
	}
	return build.RemoveAll(c.remove)
}

func localContext(r *build.Request) (*buildContext, error) {
	dir, name, err := contexts.GetContextFromLocalDir(r.Context, r.File)
	if err != nil {
		return nil, err
	}
	return folderContext(dir, name, r.File)
}

// gitContext fetches a repository. The daemon could do so by itself, but not with a Dockerfile of ours.
func gitContext(r *build.Request) (*buildContext, error) {
	dir, name, err := contexts.GetContextFromGitURL(r.Context, r.File)
	if err != nil {
		return nil, err
	}
	c, err := folderContext(dir, name, "")
	if err != nil {
		return nil, errors.Join(err, build.RemoveAll(dir))
	}
	c.remove = dir
	return c, nil
}

// folderContext is a folder with the Dockerfile at name in it, or at file outside of it.
func folderContext(dir, name, file string) (*buildContext, error) {
	c := &buildContext{dir: dir, dockerfile: filepath.ToSlash(name)}
	at := filepath.Join(dir, name)
	var err error
	switch {
	case name == "-":
		c.dockerfile = ""
	case strings.HasPrefix(c.dockerfile, "../"):
		c.dockerfile, at = "", file
		fallthrough
	default:
		if c.text, err = os.ReadFile(at); err != nil {
			return nil, err
		}
	}
	if c.excludes, err = ignored(dir, at); err != nil {
		return nil, err
	}
	return c, contexts.ValidateContextDirectory(dir, c.excludes)
}

// ignored are the patterns of the ignore file: the Dockerfile's own, if it has one, else the context's.
func ignored(dir, dockerfile string) ([]string, error) {
	f, err := os.Open(dockerfile + ".dockerignore")
	if errors.Is(err, os.ErrNotExist) {
		return contexts.ReadDockerignore(dir)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ignorefile.ReadAll(f)
}

// archiveContext stores an archive from standard input or a URL, because it is read twice.
func archiveContext(ctx context.Context, job build.Job, kind contexts.ContextType, stdin io.Reader) (*buildContext, error) {
	var in io.ReadCloser
	var name string
	var err error
	if kind == contexts.ContextTypeStdin {
		in, name, err = contexts.GetContextFromReader(io.NopCloser(stdin), job.Request.File)
	} else {
		in, name, err = contexts.GetContextFromURL(io.Discard, job.Request.Context, job.Request.File)
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	c := &buildContext{archive: filepath.Join(job.Stage, "context.tar"), dockerfile: path.Clean(filepath.ToSlash(name))}
	if name == "" {
		c.dockerfile = "Dockerfile"
	}
	plain, err := compression.DecompressStream(in)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	f, err := os.OpenFile(c.archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, readerWithContext{ctx, plain})
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if job.Request.File != "-" {
		c.text, err = c.member(c.dockerfile)
	}
	return c, err
}

// readerWithContext ends with its context.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// member reads a file of the archive.
func (c *buildContext) member(name string) ([]byte, error) {
	f, err := os.Open(c.archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the context has no %s", name)
		}
		if err != nil {
			return nil, err
		}
		if path.Clean(h.Name) == name && h.Typeflag == tar.TypeReg {
			return io.ReadAll(tr)
		}
	}
}

// send is the context as an archive with another Dockerfile and further files, and the Dockerfile's name in it.
func (c *buildContext) send(dockerfile []byte, files map[string][]byte) (io.ReadCloser, string, error) {
	in, err := c.open()
	if err != nil {
		return nil, "", err
	}
	if len(files) > 0 {
		in = archive.ReplaceFileTarWrapper(in, added(files))
	}
	return contexts.AddDockerfileToBuildContext(io.NopCloser(bytes.NewReader(dockerfile)), in)
}

func (c *buildContext) open() (io.ReadCloser, error) {
	if c.archive != "" {
		return os.Open(c.archive)
	}
	return archive.TarWithOptions(c.dir, &archive.TarOptions{
		ExcludePatterns: contexts.TrimBuildFilesFromExcludes(c.excludes, c.dockerfile, c.dockerfile == ""),
		ChownOpts:       &archive.ChownOpts{},
	})
}

func added(files map[string][]byte) map[string]archive.TarModifierFunc {
	mods := map[string]archive.TarModifierFunc{}
	for name, data := range files {
		mods[name] = func(string, *tar.Header, io.Reader) (*tar.Header, []byte, error) {
			return &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(data))}, data, nil
		}
	}
	return mods
}
