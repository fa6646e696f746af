package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// see is a program of the images below: see NAME PATH writes what there is to know of a mount and of itself to /o/NAME. Docker puts
// /.dockerenv, /etc/hostname and /etc/mtab into every container, and BuildKit does not.
const see = `#!/bin/sh
{
	stat -L -c '%a %u %g %s %F' "$2"
	sha256sum < "$2"
	echo "beside it: $(ls -A "$(dirname "$2")" | grep -v '^\.tightlip-\|^\.dockerenv$\|^hostname$\|^mtab$' | tr '\n' ' ')"
	id
	echo "$HOME $PWD $(umask) $-"
	env | grep -v '^HOSTNAME=\|^SHLVL=' | sed 's/canary.*/VALUE/' | sort
	wc -c
} > "/o/$1" 2>&1
`

// furnished is base with users, folders and files whose times are known.
const furnished = base + `COPY see /bin/
COPY passwd group /etc/
RUN mkdir -p /o /home/app /root /tmp /p /empty /etc/there && chmod 755 /bin/see && chmod 1777 /o /tmp && chmod 2750 /empty \
 && chown 1000:1000 /home/app && chown 3:4 /empty \
 && echo before > /p/existing && chmod 640 /p/existing && chown 5:6 /p/existing && ln -s /p /link && ln -s existing /p/alias \
 && touch -h -d @1000000000 /p/alias && touch -d @1000000000 /p/existing /p /empty /etc/there /root /home/app
`

const passwd = `root:x:0:0::/root:/bin/sh
app:x:1000:1000::/home/app:/bin/sh
`

const group = `root:x:0:
app:x:1000:
extra:x:2000:app
other:x:2001:
`

// steps are what a build can do, each writing to /o what it has seen.
const steps = `RUN --mount=type=secret,id=npm see default /run/secrets/npm
RUN --mount=type=secret,id=npm,target=/p/file --mount=type=secret,id=npm,dst=/new/folder/file,required --mount=type=secret,id=npm,destination=relative/file see target /p/file; see dst /new/folder/file; see relative /relative/file
RUN --mount=type=secret,id=npm,target=/p/existing see existing /p/existing
RUN --mount=type=secret,id=npm,target=/link/through see link /p/through
RUN --mount=type=secret,source=npm --mount=type=secret,target=/p/npm see source /run/secrets/npm; see idless /p/npm
RUN --mount=type=secret,id=npm,mode=0444,uid=1000,gid=2000 --mount=type=secret,id=lines,mode=0755,gid=9 see mode /run/secrets/npm; see executable /run/secrets/lines
RUN --mount=type=secret,id=npm,env=TOKEN echo "$TOKEN" | sha256sum > /o/env; ls -A /run > /o/env2 2>&1; see env3 /etc/passwd
RUN --mount=type=secret,id=npm,env=TOKEN,target=/p/both --mount=type=secret,id=lines,target=/p/lines --mount=type=secret,id=lines,env=LINES2 sha256sum < /p/both > /o/both; echo "$TOKEN" | sha256sum >> /o/both; see several /p/lines; echo "$LINES2" | sha256sum > /o/several2
RUN --mount=type=secret,id=missing,target=/p/missing --mount=type=secret,id=missing2,env=MISSING ls -A /p > /o/missing; echo "[${MISSING-unset}]" >> /o/missing; ls -A /run >> /o/missing 2>&1; true
RUN --mount=type=secret,id=npm ["/bin/see","exec","/run/secrets/npm"]
RUN --mount=type=secret,id=npm ["see","exec-path","/run/secrets/npm"]
RUN --mount=type=secret,id=npm see lasting /run/secrets/npm; (sleep 1000 &) ; exec 3< /run/secrets/npm; touch /p/touched
RUN --mount=type=secret,id=npm \
    # a comment
    see continued \

    /run/secrets/npm && \
    echo "a  b" > /o/blanks
RUN --mount=type=secret,id=npm <<EOF
see heredoc /run/secrets/npm
echo "$HOME \$HOME 'x'" > /o/heredoc2
EOF
RUN --mount=type=secret,id=npm <<-'EOT' cat > /o/tabs
	one $HOME
		two
	EOT
RUN --mount=type=secret,id=npm cat > /o/both-docs <<ONE && cat >> /o/both-docs <<"TWO"
one $HOME
ONE
two $HOME
TWO
RUN --mount=type=secret,id=npm <<EOF
#!/bin/busybox sh
echo "$0" > /o/shebang
see shebang2 /run/secrets/npm
EOF
RUN <<EOF
echo plain > /o/plain-heredoc
echo "$$" | grep -q . && echo "$0" >> /o/plain-heredoc
EOF
ARG GIVEN=default
ENV SET=value-of-env PATH=/bin
RUN --mount=type=secret,id=npm echo "$GIVEN $SET ${SET#value-}" > /o/variables; see environment /run/secrets/npm
WORKDIR /srv/dir
RUN --mount=type=secret,id=npm --mount=type=secret,id=npm,target=here see workdir /run/secrets/npm; ls / . | grep here > /o/here
RUN --mount=type=secret,id=npm,target=/srv/dir/here,required=true cat here | sha256sum > /o/here2
RUN --mount=type=tmpfs,target=/t see tmpfs /t; echo x > /t/x; ls -A /t >> /o/tmpfs
RUN --mount=type=tmpfs,target=/empty ls -A /empty > /o/tmpfs-empty; touch /empty/x
RUN --mount=type=tmpfs,target=/t --mount=type=secret,id=npm,target=/t/secret see tmpfs-secret /t/secret
SHELL ["/bin/ash","-eu","-c"]
RUN --mount=type=secret,id=npm see shell /run/secrets/npm; echo "$-" > /o/shell2
RUN <<EOF
echo "$-" > /o/shell3
EOF
USER app
RUN --mount=type=secret,id=npm,uid=1000 see user-name /run/secrets/npm; touch /home/app/mine
RUN --mount=type=secret,id=npm cat /run/secrets/npm > /o/unreadable 2>&1 || echo refused > /o/unreadable2
RUN --mount=type=secret,id=npm,uid=1000,target=/root/.npmrc see user-root /root/.npmrc || true
RUN --mount=type=secret,id=npm,env=TOKEN see user-env /etc/passwd
RUN --mount=type=tmpfs,target=/t see user-tmpfs /t; echo x > /t/x
RUN --mount=type=secret,id=npm,uid=1000 <<EOF
#!/bin/sh
see user-script /run/secrets/npm
EOF
USER 1000
RUN --mount=type=secret,id=npm,mode=0444 see user-number /run/secrets/npm
USER app:other
RUN --mount=type=secret,id=npm,mode=0444 see user-group /run/secrets/npm
USER 1000:2001
RUN --mount=type=secret,id=npm,mode=0444 see user-numbers /run/secrets/npm
USER 4242
RUN --mount=type=secret,id=npm,mode=0444 see user-unknown /run/secrets/npm
USER 4242:4343
RUN --mount=type=secret,id=npm,mode=0444 see user-unknown2 /run/secrets/npm
USER root
SHELL ["/bin/sh","-c"]
COPY <<EOF /o/copied
a document
	with 'quotes' and "more"
EOF
COPY --chown=7:8 <<-'EOF' /o/copied-tabs
	$HOME
	EOF
COPY <<ONE.txt <<TWO.txt /o/
1
ONE.txt
2
TWO.txt
ARG TARGETARCH
ARG TARGETPLATFORM
ARG BUILDPLATFORM
RUN echo "$TARGETARCH $TARGETPLATFORM $BUILDPLATFORM" > /o/platform
RUN stat -c '%Y %a %u %g %n' /p/existing /empty /etc/there > /o/times; ls -A / /run /dev/shm /dev 2>&1 | grep -v dockerenv > /o/left; cat /p/existing >> /o/times
ENV LAST=1
LABEL a=b c="d e"
EXPOSE 80 90/udp
VOLUME /vol
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s CMD true
ONBUILD RUN echo triggered
USER app:other
ENTRYPOINT ["/bin/cat"]
CMD ["/o/default"]
`

// TestClassicSame builds one Dockerfile with BuildKit and with the classic builder, and wants steps that saw the same and two
// images that are the same.
func TestClassicSame(t *testing.T) {
	b := newClassicBox(t)
	values := furnish(b, furnished+steps)
	buildBoth(t, b, values)
}

// TestClassicSameStages does the same with stages, of which the last is not wanted.
func TestClassicSameStages(t *testing.T) {
	b := newClassicBox(t)
	values := furnish(b, "# escape=`\nARG FIRST=one\nARG TAG=stage\n"+strings.Replace(strings.ReplaceAll(furnished, "\\\n", "`\n"), "FROM scratch", "FROM scratch AS one", 1)+
		"RUN --mount=type=secret,id=npm `\n  see one /run/secrets/npm\n"+
		`USER app
SHELL ["/bin/ash","-ec"]
ONBUILD RUN --mount=type=secret,id=npm,mode=0444 see triggered /run/secrets/npm; echo "$-" >> /o/triggered
ONBUILD RUN echo triggered > /o/triggered2
ONBUILD ENV TRIGGERED=1
ONBUILD USER 1000:2001
ONBUILD SHELL ["/bin/sh","-euc"]
FROM ${FIRST} AS two
ARG TAG
RUN --mount=type=secret,id=npm,mode=0444 see two /run/secrets/npm; echo "$- $TAG" >> /o/two
FROM two AS three
USER root
RUN --mount=type=secret,id=npm see three /run/secrets/npm; echo "$-" >> /o/three
FROM two AS wanted
ARG TAG
COPY --from=one --chown=1:2 /o/one /o/copied
RUN --mount=type=secret,id=npm,env=TOKEN see wanted /o/copied
FROM wanted AS last
RUN --mount=type=secret,id=npm,mode=0400 exit 9
`)
	buildBoth(t, b, values, "--target", "wanted")
}

// furnish fills a box for images of furnished, and returns the secrets.
func furnish(b *enginetest.Box, dockerfile string) []string {
	b.T.Helper()
	value := withSecret(b, dockerfile)
	lines := enginetest.PlainCanary() + "\n" + enginetest.PlainCanary() + "\n"
	b.Write("see", []byte(see))
	b.Write("passwd", []byte(passwd))
	b.Write("group", []byte(group))
	b.Write("lines", []byte(lines))
	b.Write(".dockerignore", []byte("lines\n*.tar\n"))
	return append(strings.Fields(lines), value)
}

// buildBoth builds with both builders, and compares the images.
func buildBoth(t *testing.T, b *enginetest.Box, values []string, args ...string) {
	t.Helper()
	images := map[string]*saved{}
	for _, e := range []string{"embedded", "classic"} {
		r := buildWith(b, e, append(args, "--secret", "id=lines,src=lines", "-o", "type=docker,dest="+e+".tar", "-t", "same")...)
		wantCode(t, r, 0)
		for _, value := range values {
			enginetest.NoTraces(t, "the output", r.All(), value)
		}
		images[e] = readSaved(t, filepath.Join(b.Work, e+".tar"))
	}
	want, got := images["embedded"], images["classic"]
	for _, name := range []string{"/dev", "/proc", "/sys"} {
		delete(want.files, name) // BuildKit leaves these where no layer has them
	}
	for _, name := range slices.Sorted(keys(want.files, got.files)) {
		if w, g := want.files[name], got.files[name]; w != g {
			t.Errorf("%s\nis with BuildKit  %s\nand with classic %s", name, w, g)
		}
	}
	if want.config != got.config {
		t.Errorf("BuildKit's config is\n%s\nand the classic builder's\n%s", want.config, got.config)
	}
	for _, value := range values {
		enginetest.NoTraces(t, "the image", got.raw, value)
	}
	if found := regexp.MustCompile(`tightlip\.\d+\.|NO_PROXY=`).FindString(got.raw); found != "" {
		t.Errorf("the image's config holds %q", found)
	}
	nothingOfOurs(t, b)
}

func keys(maps ...map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}

// saved is an image as docker save writes it, with its layers applied.
type saved struct {
	files  map[string]string // what each path is, but for its times
	times  map[string]string // the same, with when it was changed
	config string            // without what differs from build to build
	raw    string            // of the config
}

// blobsOf are the files of an archive.
func blobsOf(t testing.TB, name string) map[string][]byte {
	t.Helper()
	blobs := map[string][]byte{}
	for tr := tar.NewReader(bytes.NewReader(readFile(t, name))); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if blobs[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeSymlink { // of an older Docker, to a layer that is there already
			blobs[h.Name] = blobs[path.Join(path.Dir(h.Name), h.Linkname)]
		}
	}
	return blobs
}

func readSaved(t testing.TB, name string) *saved {
	t.Helper()
	blobs := blobsOf(t, name)
	var manifest []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(blobs["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	s := &saved{files: map[string]string{}, times: map[string]string{}, raw: string(blobs[manifest[0].Config])}
	var image struct {
		Config struct {
			User, WorkingDir, StopSignal         string
			Env, Cmd, Entrypoint, OnBuild, Shell []string
			Labels                               map[string]string
			Volumes, ExposedPorts                map[string]struct{}
			Healthcheck                          any
		}
	}
	if err := json.Unmarshal(blobs[manifest[0].Config], &image); err != nil {
		t.Fatal(err)
	}
	if image.Config.WorkingDir == "" {
		image.Config.WorkingDir = "/" // as BuildKit writes it
	}
	text, err := json.MarshalIndent(image.Config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	s.config = string(text)
	for _, layer := range manifest[0].Layers {
		s.apply(t, blobs[layer])
	}
	return s
}

// apply puts a layer on top.
func (s *saved) apply(t testing.TB, layer []byte) {
	t.Helper()
	if bytes.HasPrefix(layer, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			t.Fatal(err)
		}
		if layer, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	for tr := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join("/", h.Name)
		if gone, ok := strings.CutPrefix(path.Base(name), ".wh."); ok {
			s.remove(path.Join(path.Dir(name), gone), gone == ".wh..opq")
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%v %d:%d %s", h.FileInfo().Mode(), h.Uid, h.Gid, h.Linkname)
		if len(data) < 4096 {
			text += fmt.Sprintf("\n%s", data)
		} else {
			text += fmt.Sprintf(" %d bytes", len(data))
		}
		s.files[name], s.times[name] = text, text+h.ModTime.String()
	}
}

func (s *saved) remove(name string, opaque bool) {
	if opaque {
		name = path.Dir(name)
	} else {
		delete(s.files, name)
		delete(s.times, name)
	}
	for f := range s.files {
		if strings.HasPrefix(f, name+"/") {
			delete(s.files, f)
			delete(s.times, f)
		}
	}
}
