package classic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/buildx/util/buildflags"
	dockeropts "github.com/docker/cli/opts"
	"github.com/moby/moby/api/types/registry"
	dockerclient "github.com/moby/moby/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
)

// check refuses what the classic builder cannot do.
func check(r *build.Request) error {
	for flag, used := range map[string]bool{
		"--allow": len(r.Allow) > 0, "--annotation": len(r.Annotation) > 0, "--attest": len(r.Attest) > 0,
		"--build-context": len(r.BuildContext) > 0, "--builder": r.Builder != "", "--cache-to": len(r.CacheTo) > 0,
		"--call": r.Call != "" && r.Call != "build", "--no-cache-filter": len(r.NoCacheFilter) > 0, "--policy": len(r.Policy) > 0,
		"--provenance": r.Provenance != "" && r.Provenance != "false", "--resource": len(r.Resource) > 0,
		"--sbom": r.SBOM != "" && r.SBOM != "false", "several --platform": len(r.Platform) > 1,
	} {
		if used {
			return &build.UsageError{Err: fmt.Errorf("the classic builder has no %s", flag), Try: "--engine docker or --engine embedded"}
		}
	}
	if !slices.Contains([]string{"", "auto", "plain", "tty", "quiet", "none"}, r.Progress) {
		return &build.UsageError{Err: fmt.Errorf("the classic builder has no --progress=%s", r.Progress), Try: "--progress=plain or --progress=quiet"}
	}
	return nil
}

// wanted is what becomes of the image besides that Docker's store has it.
type wanted struct {
	names   []string
	push    bool
	store   bool   // in Docker's store, beside an archive
	archive string // a file for docker load; "-" is standard output
}

// planOutput decides what --output, --push and --load mean here.
func planOutput(r *build.Request) (wanted, error) {
	o := wanted{names: r.Tag, push: r.Push}
	entries, err := buildflags.ParseExports(r.Output)
	if err != nil {
		return o, &build.UsageError{Err: err, Try: "--output type=docker,dest=FILE"}
	}
	for _, e := range entries {
		if name := e.Attrs["name"]; name != "" && len(o.names) == 0 {
			o.names = strings.Split(name, ",")
		}
		switch {
		case e.Type == "docker" && e.Destination != "" && e.Attrs["tar"] != "false" && o.archive == "":
			o.archive = e.Destination
		case e.Type == "image", e.Type == "docker" && e.Destination == "":
			o.store, o.push = true, o.push || e.Attrs["push"] == "true"
		case e.Type == "registry":
			o.push = true
		default:
			return o, &build.UsageError{
				Err: fmt.Errorf("the classic builder has no --output type=%s,dest=%s", e.Type, e.Destination),
				Try: "--output type=docker,dest=FILE, --push or --load",
			}
		}
	}
	if o.push && len(o.names) == 0 {
		return o, &build.UsageError{Err: fmt.Errorf("a push needs a name"), Try: "-t REGISTRY/NAME:TAG"}
	}
	return o, nil
}

// buildOptions translates a request into the terms of the Engine API. The network and the way to the server are left out.
func (e *Engine) buildOptions(r *build.Request, f *dockerfile.File, host daemon) (dockerclient.ImageBuildOptions, error) {
	o := dockerclient.ImageBuildOptions{
		CacheFrom:    r.CacheFrom,
		CgroupParent: r.CgroupParent,
		ForceRemove:  true,
		Labels:       map[string]string{},
		NetworkMode:  r.Network,
		NoCache:      r.NoCache,
		PullParent:   r.Pull,
		Remove:       true,
		ShmSize:      r.ShmSize,
		Target:       r.Target,
		Version:      "1",
	}
	for _, s := range r.Label {
		k, v, _ := strings.Cut(s, "=")
		o.Labels[k] = v
	}
	ulimits := dockeropts.NewUlimitOpt(nil)
	for _, s := range r.Ulimit {
		if err := ulimits.Set(s); err != nil {
			return o, &build.UsageError{Err: err, Try: "--ulimit nofile=1024:2048"}
		}
	}
	o.Ulimits = ulimits.GetList()
	platform := ocispecs.Platform{OS: host.os, Architecture: host.arch}
	if len(r.Platform) > 0 {
		p, err := platforms.Parse(r.Platform[0])
		if err != nil {
			return o, &build.UsageError{Err: err, Try: "--platform linux/amd64"}
		}
		o.Platforms, platform = []ocispecs.Platform{p}, p
	}
	args := map[string]*string{}
	for name, value := range build.Arguments(r.BuildArg) {
		args[name] = &value
	}
	o.BuildArgs = e.cli.ConfigFile().ParseProxyConfig(e.api.DaemonHost(), args)
	addPlatformArgs(o.BuildArgs, f, platform, host)
	creds, _ := e.cli.ConfigFile().GetAllCredentials()
	o.AuthConfigs = map[string]registry.AuthConfig{}
	for name, c := range creds {
		o.AuthConfigs[name] = registry.AuthConfig{
			Username: c.Username, Password: c.Password, Auth: c.Auth, ServerAddress: c.ServerAddress,
			IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
		}
	}
	return o, nil
}

// addPlatformArgs gives a Dockerfile those arguments that BuildKit predefines and it declares.
func addPlatformArgs(args map[string]*string, f *dockerfile.File, target ocispecs.Platform, host daemon) {
	native := ocispecs.Platform{OS: host.os, Architecture: host.arch}
	for name, value := range map[string]string{
		"TARGETPLATFORM": platforms.Format(target), "TARGETOS": target.OS, "TARGETARCH": target.Architecture, "TARGETVARIANT": target.Variant,
		"BUILDPLATFORM": platforms.Format(native), "BUILDOS": native.OS, "BUILDARCH": native.Architecture, "BUILDVARIANT": "",
	} {
		if _, given := args[name]; !given && f.Declares(name) {
			args[name] = &value
		}
	}
}
