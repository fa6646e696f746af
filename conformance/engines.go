package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names are the engines that Named knows.
var Names = []string{"docker", "classic", "podman", "buildah", "embedded"}

// Named describes an engine of this machine. The program is tightlip, env what both it and the plain builder get.
func Named(ctx context.Context, name, program string, env []string) (Engine, error) {
	tools := map[string]struct {
		plain   []string
		env     string
		tool    string // for images
		version []string
		roots   []string // the command that prints the engine's folder
	}{
		"docker":  {[]string{"docker", "build", "--progress=plain"}, "DOCKER_BUILDKIT=1", "docker", []string{"docker", "version", "--format", "{{.Server.Version}}"}, []string{"docker", "info", "--format", "{{.DockerRootDir}}"}},
		"classic": {[]string{"docker", "build"}, "DOCKER_BUILDKIT=0", "docker", []string{"docker", "version", "--format", "{{.Server.Version}}"}, []string{"docker", "info", "--format", "{{.DockerRootDir}}"}},
		"podman":  {[]string{"podman", "build"}, "", "podman", []string{"podman", "--version"}, []string{"podman", "info", "--format", "{{.Store.GraphRoot}}\n{{.Store.RunRoot}}"}},
		"buildah": {[]string{"buildah", "build", "--layers"}, "", "buildah", []string{"buildah", "--version"}, []string{"buildah", "info", "--format", "{{.store.GraphRoot}}\n{{.store.RunRoot}}"}},
	}
	ours := Builder{Command: []string{program, "build", "--engine", name, "--progress=plain"}, Env: env, After: []string{program, "reap"}}
	if name == "embedded" {
		return Engine{Name: name, Version: "with tightlip", Ours: ours}, nil
	}
	t, ok := tools[name]
	if !ok {
		return Engine{}, fmt.Errorf("no engine %q: it is one of %s", name, strings.Join(Names, ", "))
	}
	version, err := answer(ctx, env, t.version)
	if err != nil {
		return Engine{}, err
	}
	roots, err := answer(ctx, env, t.roots)
	if err != nil {
		return Engine{}, err
	}
	plain := Builder{Command: t.plain, Env: env, Roots: strings.Fields(roots), Remove: []string{t.tool, "rmi", "-f"}}
	if t.env != "" {
		plain.Env = append(environ(env), t.env)
	}
	if t.tool != "buildah" {
		plain.Save, plain.History = []string{t.tool, "save"}, []string{t.tool, "history", "--no-trunc"}
	}
	ours.Roots, ours.Remove, ours.Save, ours.History = plain.Roots, plain.Remove, plain.Save, plain.History
	return Engine{Name: name, Version: number(version), Plain: &plain, Ours: ours}, nil
}

// number is the first word of a version that begins with a digit.
func number(version string) string {
	for _, word := range strings.Fields(version) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return version
}

func environ(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	return env[:len(env):len(env)]
}

func answer(ctx context.Context, env, command []string) (string, error) {
	path, err := lookPath(env, command[0])
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, command[1:]...)
	cmd.Env = env
	out, err := cmd.Output()
	if text := strings.TrimSpace(string(out)); err == nil && text != "" {
		return text, nil
	}
	return "", fmt.Errorf("%s does not answer: %w", command[0], err)
}

// lookPath finds a program in the PATH of env.
func lookPath(env []string, name string) (string, error) {
	for _, kv := range env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
		return "", fmt.Errorf("%s is not in PATH", name)
	}
	return exec.LookPath(name)
}
