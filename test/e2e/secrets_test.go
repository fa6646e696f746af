package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestMissingSecrets wants an error that says what was tried, and no word to the engine before it.
func TestMissingSecrets(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	project(b, clean)
	b.Env["EMPTY"] = ""
	b.Write("empty", nil)
	b.Write("dotenv", []byte("OTHER=value-of-other\n"))
	b.Write("folder/file", []byte("x"))
	contacts := listenAsDocker(t, b)
	for _, c := range []struct {
		flag string
		want []string
	}{
		{"id=npm,env=UNSET", []string{"npm", "UNSET", "not set"}},
		{"id=npm,env=EMPTY", []string{"npm", "EMPTY", "empty"}},
		{"id=npm,src=nowhere/token", []string{"npm", "nowhere/token"}},
		{"id=npm,src=empty", []string{"npm", "empty"}},
		{"id=npm,src=folder", []string{"npm", "folder"}},
		{"id=npm", []string{"npm"}},
		{"id=npm,from=file:nowhere", []string{"npm", "nowhere"}},
		{"id=npm,from=file:dotenv#MISSING", []string{"npm", "MISSING"}},
		{"id=npm,from=cmd:sh -c 'exit 7'", []string{"npm", "sh", "7"}},
		{"id=npm,from=cmd:no-such-program x", []string{"npm", "no-such-program"}},
		{"id=npm,from=cmd:true", []string{"npm", "true", "nothing"}},
		{"id=npm,from=fd:77", []string{"npm", "77"}},
		{"id=npm,from=-", []string{"npm", "empty"}},
		{"id=npm,from=volt:x", []string{"scheme", "file:"}},
		{"id=npm,from=", []string{"reference"}},
		{"src=empty", []string{"id"}},
	} {
		for _, engine := range []string{"docker", "embedded", "classic"} {
			r := b.Tightlip("build", "--engine", engine, "--secret", c.flag, "-t", "app", ".")
			if r.Code != 2 {
				t.Errorf("--secret %s on %s: exit code %d, not 2\n%s", c.flag, engine, r.Code, r.All())
			}
			wantText(t, r.Stderr, append(c.want, "tightlip: error: ")...)
		}
	}
	if n := contacts(); n > 0 {
		t.Errorf("the engine was contacted %d times", n)
	}
	if _, err := os.Stat(filepath.Join(b.Env["TIGHTLIP_STATE_DIR"], "engine")); err == nil {
		t.Error("the embedded engine was started")
	}
}

// listenAsDocker counts who calls the box's Docker.
func listenAsDocker(t *testing.T, b *enginetest.Box) func() int {
	t.Helper()
	l, err := net.Listen("unix", strings.TrimPrefix(b.Env["DOCKER_HOST"], "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan struct{}, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls <- struct{}{}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return func() int { return len(calls) }
}

// TestSecretsByteForByte mounts odd values and compares what a step sees of them.
func TestSecretsByteForByte(t *testing.T) {
	large := make([]byte, 375_000)
	_, _ = rand.Read(large)
	values := map[string][]byte{
		"newlines":     []byte("first line of it\nsecond line of it\r\n\n\tthird line of it\n"),
		"no newline":   []byte("exactly-this-text"),
		"zero bytes":   []byte("zero\x00in the middle\x00\x00"),
		"UTF-8":        []byte("pässwörd-日本語-🔑-geheim"),
		"no UTF-8":     {0xff, 0xfe, 0x80, 0x81, 0xc0, 0xc1, 0xf5, 0x00, 0x01, 0x9f},
		"shell":        []byte("$(reboot) `id` ; rm -rf / & 'quote' \"quotes\" \\ ! # * ~ $HOME ${X:-y}"),
		"regexp":       []byte(`^(a+)+$|[[:alpha:]].*\Q\E(?P<n>x){1,9}?`),
		"template":     []byte("{{.Env}} %s %n %d %% <script> &amp;"),
		"500 KB":       large[:375_000],
		"500 KB, text": []byte(hex.EncodeToString(large[:250_000])),
	}
	values["500 KB"] = append(values["500 KB"], make([]byte, 500*1024-375_000)...)
	_, _ = rand.Read(values["500 KB"][375_000:])
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		var dockerfile strings.Builder
		dockerfile.WriteString(base)
		args := []string{"build", "--engine", e.name, "--progress", "plain"}
		for name, value := range values {
			id := strings.Map(func(r rune) rune {
				if r == ' ' || r == ',' {
					return '-'
				}
				return r
			}, name)
			b.Write("values/"+id, value)
			args = append(args, "--secret", "id="+id+",src=values/"+id)
			dockerfile.WriteString("RUN --mount=type=secret,id=" + id + ",required=true sha256sum /run/secrets/" + id + "\n")
		}
		project(b, dockerfile.String())
		b.Write(".dockerignore", []byte("values\n"))
		r := b.Tightlip(append(args, ".")...)
		wantCode(t, r, 0)
		for name, value := range values {
			sum := sha256.Sum256(value)
			if !strings.Contains(r.Stderr, hex.EncodeToString(sum[:])) {
				t.Errorf("%s: the step saw other bytes", name)
			}
			if bytes.Contains([]byte(r.All()), value) {
				t.Errorf("%s: the value was printed", name)
			}
		}
	})
}

// TestSecretTooLarge wants the limit named before anything is built.
func TestSecretTooLarge(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, clean)
		value := make([]byte, 500*1024+1)
		_, _ = rand.Read(value)
		b.Write("large", value)
		r := b.Tightlip("build", "--engine", e.name, "--secret", "id=npm,src=large", ".")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "secret npm has 512001 bytes", "512000 at most", "tightlip: hint: ")
	})
}

// TestSecretTooShort wants short values refused unless waived, and then still redacted.
func TestSecretTooShort(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	project(b, base+"RUN --mount=type=secret,id=pin echo \"<$(cat /run/secrets/pin)>\"\n")
	b.Env["PIN"] = "q7x9"
	r := b.Tightlip("build", "--engine", "embedded", "--secret", "id=pin,env=PIN", ".")
	wantCode(t, r, 2)
	wantText(t, r.Stderr, "pin", "--prove-waive pin")
	r = b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--secret", "id=pin,env=PIN", "--prove-waive", "pin", ".")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "<***>", "not proven, because too short: pin")
}

// TestRotatedSecret wants a new value to run a step again when, and only when, the flag says so.
func TestRotatedSecret(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, base+"RUN --mount=type=secret,id=npm wc -c < /run/secrets/npm > /size\n")
		cached := func(flag, value string) bool {
			t.Helper()
			b.Env["NPM_TOKEN"] = value
			r := b.Tightlip("build", "--engine", e.name, "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN"+flag, ".")
			wantCode(t, r, 0)
			for line := range strings.Lines(r.Stderr) {
				number, rest, _ := strings.Cut(line, " ")
				if strings.Contains(rest, "wc -c") && strings.HasPrefix(rest, "[") {
					return strings.Contains(r.Stderr, "\n"+number+" CACHED")
				}
			}
			t.Fatalf("the step is not shown:\n%s", r.Stderr)
			return false
		}
		one, two := enginetest.PlainCanary(), enginetest.PlainCanary()
		for _, step := range []struct {
			flag, value string
			cached      bool
		}{
			{"", one, false}, {"", two, true},
			{",rebuild=on-change", one, false}, {",rebuild=on-change", one, true},
			{",rebuild=on-change", two, false}, {",rebuild=on-change", one, true}, // of two builds before
		} {
			if got := cached(step.flag, step.value); got != step.cached {
				t.Errorf("%+v: cached is %t", step, got)
			}
		}
		enginetest.NoTracesIn(t, b.Dir, one)
		enginetest.NoTracesIn(t, b.Dir, two)
	})
}

// TestLeakOfCachedStep wants a leak found also when its step comes from the cache.
func TestLeakOfCachedStep(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, leaky)
		wantCode(t, buildWith(b, e.name, "-t", "again"), 3)
		wantCode(t, buildWith(b, e.name, "-t", "again"), 3)
	})
}
