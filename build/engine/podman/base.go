package podman

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// base tells about base images, if steps are to be led through the broker together with their shell; else it is nil.
func (b *result) base(ctx context.Context) func(name, platform string) (translate.Base, error) {
	if b.job.Brokered() == nil {
		return nil
	}
	return func(name, platform string) (translate.Base, error) {
		name, ok := inStore(b.job.Request, name)
		if !ok {
			return translate.Base{}, nil
		}
		return b.inspectBase(ctx, name, b.platform(platform))
	}
}

// inStore is the image that a name of FROM stands for, and false for the files of a named context.
func inStore(r *build.Request, name string) (image string, ok bool) {
	for _, c := range r.BuildContext {
		if value, named := strings.CutPrefix(c, name+"="); named {
			return strings.CutPrefix(value, "docker-image://")
		}
	}
	return name, true
}

// platform is that of a FROM, as far as it is known, or of the request.
func (b *result) platform(from string) string {
	if from != "" && !strings.Contains(from, "$") {
		return from
	}
	return strings.Join(b.job.Request.Platform, "")
}

// inspectBase reads the config of an image out of the store, where it has Docker's fields, and has the tool pull the image first if it
// is not there or the user wants the newest. One that cannot be had is the build's to report.
func (b *result) inspectBase(ctx context.Context, name, platform string) (translate.Base, error) {
	e := b.engine
	id, err := e.imageID(ctx, name)
	if err != nil || b.job.Request.Pull {
		if err := b.pull(ctx, name, platform); err != nil {
			return translate.Base{}, context.Cause(ctx)
		}
		if id, err = e.imageID(ctx, name); err != nil {
			return translate.Base{}, err
		}
	}
	var image struct {
		Config struct {
			User                string
			Shell, OnBuild, Env []string
		}
	}
	file := "=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id))
	err = readJSON(filepath.Join(e.info.graphRoot, e.info.driver+"-images", id, file), &image)
	if errors.Is(err, fs.ErrNotExist) { // it is in another store, which this one only reads
		fmt.Fprintf(e.streams.Err, "tightlip: note: the configuration of %s is not in %s: its steps run with /bin/sh, and its triggers are not seen\n", name, e.info.graphRoot)
		return translate.Base{}, nil
	}
	if err != nil {
		return translate.Base{}, fmt.Errorf("reading the configuration of %s: %w", name, err)
	}
	c := image.Config
	return translate.Base{User: c.User, Shell: c.Shell, OnBuild: c.OnBuild, Env: c.Env}, nil
}

// imageID is the ID of an image in the store.
func (e *Engine) imageID(ctx context.Context, name string) (string, error) {
	field := "{{.FromImageID}}"
	if e.tool == Podman {
		field = "{{.Id}}"
	}
	out, err := e.output(ctx, "inspect", "--type", "image", "--format", field, name)
	return strings.TrimSpace(string(out)), err
}

// pull has the tool pull an image, from where the build would.
func (b *result) pull(ctx context.Context, name, platform string) error {
	if !b.job.Request.Quiet {
		fmt.Fprintf(b.engine.streams.Err, "tightlip: pulling %s\n", name)
	}
	args := []string{"pull", "--quiet"}
	if platform != "" {
		args = append(args, "--platform", platform)
	}
	_, err := b.engine.output(ctx, append(args, name)...)
	return err
}
