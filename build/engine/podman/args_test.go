package podman

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
)

func TestRequestArgs(t *testing.T) {
	t.Setenv("THERE", "value")
	t.Setenv("SSH_AUTH_SOCK", "/agent")
	for _, test := range []struct {
		request build.Request
		want    string
	}{
		{build.Request{Network: "default"}, ""},
		{build.Request{Network: "none", Target: "t", NoCache: true, Pull: true, CgroupParent: "/c", ShmSize: 1024},
			"--target t --cgroup-parent /c --network none --shm-size 1024b --no-cache --pull=always"},
		{build.Request{BuildArg: []string{"A=b c", "THERE", "NOT_THERE"}}, "--build-arg A=b c --build-arg THERE"},
		{build.Request{Label: []string{"a", "b=c"}, Annotation: []string{"k=v", "manifest:k2=v:2"}},
			"--label a= --label b=c --annotation k=v --annotation k2=v:2"},
		{build.Request{AddHost: []string{"h:1.2.3.4", "h=1.2.3.4", "h=[::1]"}}, "--add-host h:1.2.3.4 --add-host h:1.2.3.4 --add-host h:::1"},
		{build.Request{CacheFrom: []string{"r/c", "type=registry,ref=r/d"}, Ulimit: []string{"nofile=1:2"}}, "--ulimit nofile=1:2 --cache-from r/c --cache-from r/d"},
		{build.Request{SSH: []string{"default", "k=/a,/b"}}, "--ssh default=/agent --ssh k=/a,/b"},
		{build.Request{BuildContext: []string{"a=dir"}, Platform: []string{"linux/arm64"}, Allow: []string{"network.host"}},
			"--platform linux/arm64 --build-context a=dir"},
	} {
		args, err := requestArgs(&test.request)
		if got := strings.Join(args, " "); err != nil || got != test.want {
			t.Errorf("got %q, %v, want %q", got, err, test.want)
		}
	}
}

func TestRequestArgsRefuses(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, r := range []build.Request{
		{Allow: []string{"security.insecure"}}, {Attest: []string{"type=sbom"}}, {Builder: "b"}, {Call: "check"}, {CacheTo: []string{"r/c"}},
		{CacheFrom: []string{"type=local,src=d"}}, {NoCacheFilter: []string{"s"}}, {Policy: []string{"p"}}, {Resource: []string{"r"}},
		{Provenance: "mode=max"}, {SBOM: "true"}, {Platform: []string{"a", "b"}}, {Platform: []string{"a,b"}}, {Progress: "rawjson"},
		{Annotation: []string{"index:a=b"}}, {Annotation: []string{"a"}}, {SSH: []string{"default"}}, {BuildContext: []string{"a=oci-layout://x"}},
	} {
		_, err := requestArgs(&r)
		if usage := (*build.UsageError)(nil); !errors.As(err, &usage) {
			t.Errorf("%+v: got %v, want a UsageError", r, err)
		}
	}
}

func TestPlainFlags(t *testing.T) {
	const text = "FROM a\nRUN --mount=type=secret,id=x,required --mount=type=secret,required,id=y --mount=type=ssh,required=false a ,required b\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := f.Apply(plainFlags(f))
	want := strings.NewReplacer("x,required", "x,required=true", "secret,required", "secret,required=true").Replace(text)
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLocalName(t *testing.T) {
	for name, want := range map[string]string{
		"app": "localhost/app:latest", "team/app:2": "localhost/team/app:2", "docker.io/app": "docker.io/library/app:latest",
		"localhost/app": "localhost/app:latest", "r.example:5000/app:1": "r.example:5000/app:1",
	} {
		if got, err := localName(name); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := localName("UPPER"); err == nil {
		t.Error("an invalid name was taken")
	}
}

func TestAuthFiles(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/x")
	t.Setenv("REGISTRY_AUTH_FILE", "")
	if got := authFiles(); !slices.Contains(got, "/x/containers/auth.json") {
		t.Errorf("got %q", got)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "/f")
	if got := authFiles(); !slices.Equal(got, []string{"/f"}) {
		t.Errorf("got %q", got)
	}
}
