package buildkit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	cfs "github.com/containerd/continuity/fs"
	"github.com/docker/buildx/util/confutil"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
	"golang.org/x/term"
)

func write(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

// checkDest refuses before the build what could not be written after it.
func (o output) checkDest(stdout io.Writer) error {
	refuse := func(format string, args ...any) error { return &build.UsageError{Err: fmt.Errorf(format, args...)} }
	if !slices.Contains([]place{archive, tarball, layout, folder}, o.place) {
		return nil
	}
	if o.dest == "-" || o.dest == "" {
		if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return &build.UsageError{Err: errors.New("the output is an archive, and standard output is a terminal"), Try: "dest=FILE"}
		}
		return nil
	}
	info, err := os.Stat(o.dest)
	switch wantsFolder := o.place == layout || o.place == folder; {
	case err == nil && wantsFolder && !info.IsDir():
		return refuse("the output's destination %s is not a folder", o.dest)
	case err == nil && !wantsFolder && info.IsDir():
		return refuse("the output's destination %s is a folder", o.dest)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return refuse("the output's destination: %w", err)
	}
	if _, err := os.Stat(filepath.Dir(filepath.Clean(o.dest))); err != nil && (o.place == archive || o.place == tarball) {
		return refuse("the output's destination: %w", err)
	}
	return nil
}

func (r *result) writeArchive(ctx context.Context, at string, names []string, o output) error {
	format := sink.OCIArchive
	if o.docker {
		format = sink.DockerArchive
	}
	return r.writeOut(o.dest, func(w io.Writer) error { return sink.WriteArchive(ctx, w, at, r.digest(), names, format) })
}

func (r *result) writeTarball(at, dest string) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.writeOut(dest, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// writeOut writes to a file, or to standard output.
func (r *result) writeOut(dest string, write func(io.Writer) error) error {
	if dest == "-" || dest == "" {
		return write(r.engine.streams.Out)
	}
	return build.WriteFile(dest, write)
}

// moveTree moves what is below from to below to, over what is there: the local exporter adds to a folder. It goes through
// no link that is there, or an image could write anywhere.
func moveTree(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		old, err := os.Lstat(dest)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case d.IsDir() && old.IsDir():
			return nil // merged by what follows
		case d.IsDir() != old.IsDir():
			if err := os.Remove(dest); err != nil {
				return err
			}
		}
		err = move(path, dest, d)
		if err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
}

// prune removes what is below dest and not below from. It follows no link below dest.
func prune(from, dest string) error {
	entries, err := os.ReadDir(dest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range entries {
		path, wanted := filepath.Join(dest, d.Name()), filepath.Join(from, d.Name())
		info, statErr := os.Lstat(wanted)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			err = errors.Join(err, build.RemoveAll(path))
		case statErr != nil:
			err = errors.Join(err, statErr)
		case info.IsDir() && d.IsDir():
			err = errors.Join(err, prune(wanted, path))
		}
	}
	return err
}

// move renames, or copies where the destination is on another file system.
func move(path, dest string, d fs.DirEntry) error {
	err := os.Rename(path, dest)
	if d.IsDir() && errors.Is(err, fs.ErrPermission) {
		err = moveReadOnly(path, dest, d)
	}
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	if d.IsDir() {
		return cfs.CopyDir(dest, path)
	}
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return errors.Join(removeIfThere(dest), os.Symlink(target, dest))
	}
	if !d.Type().IsRegular() {
		return fmt.Errorf("%s is a device or a pipe, which cannot be copied to another file system", dest)
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := errors.Join(removeIfThere(dest), cfs.CopyFile(dest, path)); err != nil {
		return err
	}
	return os.Chmod(dest, info.Mode())
}

// moveReadOnly renames a folder that its owner may not write to: to change its parent is to write to it.
func moveReadOnly(path, dest string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := os.Chmod(path, info.Mode()|0o200); err != nil {
		return err
	}
	if err := os.Rename(path, dest); err != nil {
		return err
	}
	return os.Chmod(dest, info.Mode())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeFiles writes what the request wants to have in files.
func (r *result) writeFiles(named build.Named) error {
	if name := r.job.Request.IIDFile; name != "" {
		if err := build.WriteFile(name, write([]byte(named.ID))); err != nil {
			return fmt.Errorf("writing the image ID: %w", err)
		}
	}
	name := r.job.Request.MetadataFile
	if name == "" {
		return nil
	}
	names, err := r.tags()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		r.response.ExporterResponse["image.name"] = strings.Join(names, ",")
	}
	metadata := decodeResponse(r.response.ExporterResponse)
	if len(r.warnings) > 0 && confutil.MetadataWarningsEnabled() {
		metadata["buildx.build.warnings"] = r.warnings
	}
	text, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	text = r.job.Redact.Bytes(text)
	if err := build.WriteFile(name, write(text)); err != nil {
		return fmt.Errorf("writing the metadata: %w", err)
	}
	return nil
}

// tags are the names of the image in all outputs, without the paths of files.
func (r *result) tags() ([]string, error) {
	var tags []string
	for _, o := range r.outputs {
		if o.place == cacheOnly || !o.holdsImage() && o.place != inStore {
			continue
		}
		names, err := normalize(o.names)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !slices.Contains(tags, name) {
				tags = append(tags, name)
			}
		}
	}
	return tags, nil
}

// decodeResponse unpacks the JSON documents that BuildKit puts into its response in base64.
func decodeResponse(response map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range response {
		out[k] = v
		data := []byte(v)
		if k != "result.json" {
			var err error
			if data, err = base64.StdEncoding.DecodeString(v); err != nil {
				continue
			}
		}
		if s := strings.TrimSpace(string(data)); json.Valid(data) && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[{")) {
			out[k] = json.RawMessage(data)
		}
	}
	return out
}
