package classic

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/api/types/container"
	dockerclient "github.com/moby/moby/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image/sink"
)

// inspectBase tells about a base image, and pulls it first if the daemon has not got it or the user wants the newest.
func (e *Engine) inspectBase(ctx context.Context, job build.Job, name, platform string) (translate.Base, error) {
	info, err := e.api.ImageInspect(ctx, name)
	if cerrdefs.IsNotFound(err) || err == nil && job.Request.Pull {
		if err := e.pull(ctx, job, name, platform); err != nil {
			return translate.Base{}, &build.FailedError{Code: 1, Text: job.Redact.String(fmt.Sprintf("pulling %s: %v", name, err))}
		}
		info, err = e.api.ImageInspect(ctx, name)
	}
	if err != nil {
		return translate.Base{}, fmt.Errorf("inspecting %s: %w", name, err)
	}
	b := translate.Base{}
	if info.Config != nil {
		b = translate.Base{User: info.Config.User, Shell: info.Config.Shell, OnBuild: info.Config.OnBuild, Env: info.Config.Env}
	}
	b.Tools = sync.OnceValues(func() ([]string, error) { return e.toolsOf(ctx, job, info.ID) })
	return b, nil
}

func (e *Engine) pull(ctx context.Context, job build.Job, name, platform string) error {
	auth, err := command.RetrieveAuthTokenFromImage(e.cli.ConfigFile(), name)
	if err != nil {
		return err
	}
	o := dockerclient.ImagePullOptions{RegistryAuth: auth}
	if platform == "" && len(job.Request.Platform) > 0 {
		platform = job.Request.Platform[0]
	}
	if p, err := platforms.Parse(platform); err == nil && platform != "" {
		o.Platforms = []ocispecs.Platform{p}
	}
	if !job.Request.Quiet {
		fmt.Fprintf(e.streams.Err, "tightlip: pulling %s\n", name)
	}
	resp, err := e.api.ImagePull(ctx, name, o)
	if err != nil {
		return err
	}
	defer resp.Close()
	return sink.Follow(resp, nil)
}

// toolsOf lists what an image has to fetch with. It asks a container that is never started.
func (e *Engine) toolsOf(ctx context.Context, job build.Job, id string) (tools []string, err error) {
	name := containerName()
	if err := job.Note(e.residue(build.DockerContainer, name)); err != nil {
		return nil, err
	}
	whole, done := build.CleanupContext(ctx)
	defer done()
	c, err := e.api.ContainerCreate(whole, dockerclient.ContainerCreateOptions{
		Name:       name,
		Config:     &container.Config{Image: id, Entrypoint: []string{"none"}, Labels: map[string]string{label: "look"}},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		return nil, fmt.Errorf("looking into %s: %w", id, err)
	}
	defer func() {
		clean, cancel := build.CleanupContext(ctx)
		defer cancel()
		err = errors.Join(err, removeContainer(clean, e.api, c.ID))
	}()
	tools = []string{}
	for _, tool := range append([]string{"sh"}, translate.Fetchers...) {
		for _, dir := range []string{"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin"} {
			_, err := e.api.ContainerStatPath(ctx, c.ID, dockerclient.ContainerStatPathOptions{Path: path.Join(dir, tool)})
			if err == nil {
				tools = append(tools, tool)
				break
			}
			if !cerrdefs.IsNotFound(err) {
				return nil, fmt.Errorf("looking into %s: %w", id, err)
			}
		}
	}
	return tools, nil
}
