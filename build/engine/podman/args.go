package podman

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/docker/buildx/util/buildflags"
	"github.com/tightlip/tightlip/build"
)

// check refuses what the tools cannot do.
func check(r *build.Request) error {
	const elsewhere = "--engine docker or --engine embedded"
	for flag, used := range map[string]bool{
		"--allow":  slices.ContainsFunc(r.Allow, func(a string) bool { return a != "network.host" }),
		"--attest": len(r.Attest) > 0, "--builder": r.Builder != "", "--call": r.Call != "" && r.Call != "build",
		"--no-cache-filter": len(r.NoCacheFilter) > 0, "--policy": len(r.Policy) > 0, "--resource": len(r.Resource) > 0,
		"--provenance": r.Provenance != "" && r.Provenance != "false", "--sbom": r.SBOM != "" && r.SBOM != "false",
	} {
		if used {
			return refuse(elsewhere, "podman and buildah have no %s", flag)
		}
	}
	switch {
	case len(r.CacheTo) > 0:
		return refuse(elsewhere, "podman and buildah push each layer to --cache-to as it is built, and nothing could be proven before")
	case len(r.Platform) > 1 || strings.Contains(strings.Join(r.Platform, ""), ","):
		return refuse("one --platform, or "+elsewhere, "podman and buildah build one platform at a time")
	case !slices.Contains([]string{"", "auto", "plain", "tty", "quiet", "none"}, r.Progress):
		return refuse("--progress=plain or --progress=quiet", "podman and buildah have no --progress=%s", r.Progress)
	}
	return nil
}

// requestArgs translates a request into the tools' terms. The Dockerfile and the context are left out, and all that names the image.
func requestArgs(r *build.Request) ([]string, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	var args []string
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	for _, arg := range r.BuildArg {
		// A name alone stands for a variable of ours, and is dropped if there is none, as docker build does.
		if _, there := os.LookupEnv(arg); there || strings.Contains(arg, "=") {
			add("--build-arg", arg)
		}
	}
	for _, label := range r.Label {
		if !strings.Contains(label, "=") {
			label += "="
		}
		add("--label", label)
	}
	for _, a := range r.Annotation {
		a, err := annotation(a)
		if err != nil {
			return nil, err
		}
		add("--annotation", a)
	}
	for _, host := range r.AddHost {
		if name, ip, ok := strings.Cut(host, "="); ok {
			host = name + ":" + strings.Trim(ip, "[]")
		}
		add("--add-host", host)
	}
	for _, u := range r.Ulimit {
		add("--ulimit", u)
	}
	for _, from := range r.CacheFrom {
		repository, err := cacheFrom(from)
		if err != nil {
			return nil, err
		}
		add("--cache-from", repository)
	}
	for _, platform := range r.Platform {
		add("--platform", platform)
	}
	for _, ssh := range ownAgents(r) {
		spec, err := sshSpec(ssh)
		if err != nil {
			return nil, err
		}
		add("--ssh", spec)
	}
	contexts, err := namedContexts(r.BuildContext)
	if err != nil {
		return nil, err
	}
	add("--target", r.Target)
	add("--cgroup-parent", r.CgroupParent)
	if r.Network != "default" {
		add("--network", r.Network)
	}
	if r.ShmSize > 0 {
		add("--shm-size", fmt.Sprintf("%db", r.ShmSize))
	}
	if r.NoCache {
		args = append(args, "--no-cache")
	}
	if r.Pull {
		args = append(args, "--pull=always")
	}
	return append(args, contexts...), nil
}

// annotation is an annotation of the manifest, the only place where the tools write any.
func annotation(a string) (string, error) {
	key, value, ok := strings.Cut(a, "=")
	if where, rest, typed := strings.Cut(key, ":"); typed {
		if where != "manifest" {
			return "", refuse("--annotation "+rest+"="+value, "podman and buildah annotate manifests only, not %q", where)
		}
		key = rest
	}
	if !ok || key == "" {
		return "", refuse("--annotation KEY=VALUE", "%q is not an annotation", a)
	}
	return key + "=" + value, nil
}

// cacheFrom is a cache in a registry. The tools name it by the repository alone.
func cacheFrom(text string) (string, error) {
	entries, err := buildflags.ParseCacheEntry([]string{text})
	if err != nil {
		return "", &build.UsageError{Err: err, Try: "--cache-from REGISTRY/NAME"}
	}
	if len(entries) != 1 || entries[0].Type != "registry" || entries[0].Attrs["ref"] == "" {
		return "", refuse("--cache-from REGISTRY/NAME", "podman and buildah read caches from registries only")
	}
	return entries[0].Attrs["ref"], nil
}

// ownAgents are those that the tool itself gives to steps. It would keep from an agent which server it signs for: one with a policy is ours.
func ownAgents(r *build.Request) []string {
	if r.HasSSHPolicy() {
		return nil
	}
	return r.SSH
}

// sshSpec is an agent or a list of keys. A default without an agent is refused, as it is by docker build.
func sshSpec(text string) (string, error) {
	specs, err := buildflags.ParseSSHSpecs([]string{text})
	if err != nil {
		return "", &build.UsageError{Err: err, Try: "--ssh default, or --ssh ID=PATH"}
	}
	s := specs[0]
	if len(s.Paths) == 0 && os.Getenv("SSH_AUTH_SOCK") == "" {
		return "", refuse("start ssh-agent, or --ssh "+s.ID+"=PATH", "--ssh %s needs an agent, and SSH_AUTH_SOCK is not set", s.ID)
	}
	if len(s.Paths) == 0 {
		// The tools know an agent without a path for the id default only.
		s.Paths = []string{os.Getenv("SSH_AUTH_SOCK")}
	}
	return s.ID + "=" + strings.Join(s.Paths, ","), nil
}

// namedContexts are folders, images and URLs by name.
func namedContexts(in []string) ([]string, error) {
	var args []string
	for _, c := range in {
		_, value, ok := strings.Cut(c, "=")
		if !ok || strings.HasPrefix(value, "oci-layout:") || strings.HasPrefix(value, "target:") {
			return nil, refuse("a folder, a URL, or docker-image://NAME", "podman and buildah have no --build-context %s", c)
		}
		args = append(args, "--build-context", c)
	}
	return args, nil
}
