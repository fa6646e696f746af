package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// ways are the ways in which a secret gets into an image, other than by its encoding.
var ways = []struct {
	name, dockerfile string
	args             []string // VALUE stands for the secret's value
	want             leak     // Offset does not count, and an empty Path or Field is not compared
	line             int
	skip             string // engine on which this cannot happen
}{
	{
		name:       "mount copied and deleted",
		dockerfile: base + "RUN --mount=type=secret,id=npm cp /run/secrets/npm /root.txt\nRUN rm /root.txt\n",
		want:       leak{Where: "layer", Layer: 3, Path: "root.txt", Hidden: true}, line: 4,
	},
	{
		name:       "mount copied and overwritten",
		dockerfile: base + "RUN --mount=type=secret,id=npm mkdir /a && cp /run/secrets/npm /a/b\nRUN echo safe > /a/b\n",
		want:       leak{Where: "layer", Layer: 3, Path: "a/b", Hidden: true}, line: 4,
	},
	{
		name:       "file copied and its folder deleted",
		dockerfile: base + "COPY token /etc/deep/.netrc\nRUN cat /etc/deep/.netrc > /dev/null\nRUN rm -r /etc/deep\n",
		want:       leak{Where: "layer", Layer: 3, Path: "etc/deep/.netrc", Hidden: true}, line: 4,
	},
	{
		name:       "build argument in the history",
		dockerfile: base + "ARG TOKEN\nRUN true\n",
		args:       []string{"--build-arg", "TOKEN=VALUE"},
		want:       leak{Where: "config"}, line: 4,
	},
	{
		name:       "environment",
		dockerfile: base + "ARG TOKEN\nENV AUTH=$TOKEN\n",
		args:       []string{"--build-arg", "TOKEN=VALUE"},
		want:       leak{Where: "config", Field: "config.Env[1]"}, line: 5,
	},
	{
		name:       "label in the Dockerfile",
		dockerfile: base + "ARG TOKEN\nLABEL auth=$TOKEN\n",
		args:       []string{"--build-arg", "TOKEN=VALUE"},
		want:       leak{Where: "config", Field: "config.Labels.auth"}, line: 5,
	},
	{
		name:       "label on the command line",
		dockerfile: base,
		args:       []string{"--label", "auth=VALUE"},
		want:       leak{Where: "config", Field: "config.Labels.auth"},
	},
	{
		name:       "name of a file",
		dockerfile: base + "RUN --mount=type=secret,id=npm touch \"/$(cat /run/secrets/npm)\"\n",
		want:       leak{Where: "layer", Layer: 3, Field: "name"}, line: 4,
	},
	{
		name:       "target of a link",
		dockerfile: base + "RUN --mount=type=secret,id=npm ln -s \"$(cat /run/secrets/npm)\" /link\n",
		want:       leak{Where: "layer", Layer: 3, Path: "link", Field: "link"}, line: 4,
	},
	{
		name:       "build argument in the provenance",
		dockerfile: "FROM scratch AS tools\nARG TOKEN\nCOPY busybox nonce /bin/\nFROM scratch\nCOPY --from=tools /bin /bin\n",
		args:       []string{"--build-arg", "TOKEN=VALUE", "--attest", "type=provenance,mode=max"},
		want:       leak{Where: "attestation"},
		skip:       "docker", // its store has no attestations
	},
	{
		name:       "annotation",
		dockerfile: base,
		args:       []string{"--annotation", "auth=VALUE"},
		want:       leak{Where: "manifest"},
		skip:       "docker", // its store has no annotations
	},
}

func TestLeakWays(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onAll(t, func(t *testing.T, e engine) {
				if e.inDocker() && way.skip == "docker" {
					return
				}
				b := e.box(t)
				value := withSecret(b, way.dockerfile)
				b.Write("token", []byte(value))
				args := slices.Clone(way.args)
				for i := range args {
					args[i] = strings.ReplaceAll(args[i], "VALUE", value)
				}
				found := refused(t, b, e, args...)
				for _, f := range found {
					if matches(f, way.want, way.line) {
						return
					}
				}
				t.Errorf("no finding is like %+v of line %d:\n%+v", way.want, way.line, found)
			})
		})
	}
}

func matches(f, want leak, line int) bool {
	if line > 0 && (f.Dockerfile == nil || f.Dockerfile.Line != line || f.Dockerfile.File != "Dockerfile") {
		return false
	}
	return f.Secret == "npm" && f.Encoding == "raw" && f.Where == want.Where && f.Layer == want.Layer && f.Hidden == want.Hidden &&
		(want.Path == "" || f.Path == want.Path) && (want.Field == "" || f.Field == want.Field)
}

// refused builds, wants the build refused for a leak with nothing left of it, and returns the findings.
func refused(t *testing.T, b *enginetest.Box, e engine, args ...string) []leak {
	t.Helper()
	var before []string
	if e.inDocker() {
		before = stored(b)
		args = append(args, "-t", "leaked")
	} else {
		args = append(args, "-t", "leaked", "-o", "type=oci,dest=leaked.tar")
	}
	r := buildWith(b, e.name, append(args, "--format", "json")...)
	wantCode(t, r, 3)
	enginetest.NoTraces(t, "the output", r.All(), b.Env["NPM_TOKEN"])
	if e.inDocker() {
		if after := stored(b); !slices.Equal(after, before) {
			t.Errorf("the images were %q and are %q", before, after)
		}
	} else if _, err := os.Lstat(filepath.Join(b.Work, "leaked.tar")); err == nil {
		t.Error("the leaking image was written")
	}
	nothingLeft(t, b)
	o := parse(t, r)
	if o.Named || o.Proof == nil || o.Proof.Verdict != "leaked" {
		t.Errorf("the report says %+v", o)
	}
	return o.Findings
}

// stored lists the images of a box's Docker, with those that are only in its cache.
func stored(b *enginetest.Box) []string {
	b.T.Helper()
	return slices.Sorted(slices.Values(strings.Fields(b.Docker("images", "-aq", "--no-trunc"))))
}

// TestLeakInAttribute proves an archive: builders keep no extended attributes but capabilities, and other tools do.
func TestLeakInAttribute(t *testing.T) {
	b := newEmbeddedBox(t)
	value := enginetest.Canary()
	b.Env["NPM_TOKEN"] = value
	b.Write("root.tar", withAttribute(t, value))
	r := b.Tightlip("prove", "tar:root.tar", "--secret", "id=npm,env=NPM_TOKEN", "--format", "json")
	wantCode(t, r, 3)
	found := parse(t, r).Findings
	if len(found) != 1 || !strings.HasSuffix(found[0].Path, "/marked") || !strings.HasSuffix(found[0].Field, "xattr.user.note") {
		t.Errorf("found %+v", found)
	}
}

// withAttribute is an archive of one file with a value in an extended attribute.
func withAttribute(t *testing.T, value string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	h := &tar.Header{Name: "marked", Mode: 0o644, PAXRecords: map[string]string{"SCHILY.xattr.user.note": value}}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestLeakEncodings builds one image with a file for each encoding and each nesting, and wants all of them found.
func TestLeakEncodings(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, base+"COPY files /files\nRUN rm -r /files\n")
		value := enginetest.Canary()
		b.Env["NPM_TOKEN"] = value
		want := map[string]string{} // encoding by path
		for _, f := range encoded(value) {
			b.Write("files/"+f.name, fmt.Appendf(nil, "before %s after\n", f.text))
			want["files/"+f.name] = f.encoding
		}
		for _, f := range nested(t, value) {
			b.Write("files/"+f.name, f.data)
			want["files/"+f.name+f.inside] = "raw"
		}
		found := refused(t, b, e)
		for _, f := range found {
			if f.Secret != "npm" || f.Where != "layer" || f.Layer != 3 || !f.Hidden || f.Dockerfile == nil || f.Dockerfile.Line != 4 {
				t.Errorf("an odd finding: %+v, %+v", f, f.Dockerfile)
			}
			if want[f.Path] == f.Encoding {
				delete(want, f.Path)
			}
		}
		if len(want) > 0 {
			t.Errorf("not found: %q\nbut %+v", want, found)
		}
	})
}
