//go:build linux

package podman_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/buildtest"
	"github.com/tightlip/tightlip/build/engine/podman"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

func TestContract(t *testing.T) {
	enginetest.NeedRoot(t)
	for name, test := range map[string]struct {
		tool      podman.Tool
		isolation string
		output    string
	}{
		"podman":         {podman.Podman, "oci", "type=oci,dest="},
		"podman layout":  {podman.Podman, "oci", "type=oci,tar=false,dest="},
		"podman tarball": {podman.Podman, "oci", "type=tar,dest="},
		"podman chroot":  {podman.Podman, "chroot", "type=docker,dest="},
		"buildah":        {podman.Buildah, "oci", "type=oci,dest="},
		"buildah folder": {podman.Buildah, "oci", "type=local,dest="},
		"buildah chroot": {podman.Buildah, "chroot", "type=oci,dest="},
	} {
		t.Run(name, func(t *testing.T) {
			store := enginetest.NewPodman(t)
			t.Setenv("BUILDAH_ISOLATION", test.isolation)
			s := &buildtest.Screen{}
			engine, err := podman.New(t.Context(), test.tool, podman.Options{
				Streams: build.Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: s}, Env: store.Env,
			})
			if err != nil {
				t.Fatal(err)
			}
			buildtest.Contract(t, buildtest.Fixture{
				Engine: engine, Busybox: enginetest.Tool(t, "busybox"), Log: s.String,
				Output: func(path string) string { return test.output + path },
			})
		})
	}
}
