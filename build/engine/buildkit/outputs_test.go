package buildkit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tightlip/tightlip/build"
)

var (
	docker    = builderKind{dockerStore: true, defaultLoad: true}
	container = builderKind{}
	loading   = builderKind{defaultLoad: true}
)

func TestPlanOutputs(t *testing.T) {
	for _, test := range []struct {
		kind    builderKind
		request build.Request
		want    string
	}{
		{docker, build.Request{Tag: []string{"a"}}, "store[a]"},
		{docker, build.Request{Tag: []string{"a"}, Load: true}, "store[a]"},
		{docker, build.Request{Tag: []string{"a", "b"}, Push: true}, "store[a b] push"},
		{docker, build.Request{Output: []string{"type=image,name=n,push=true"}}, "store[n] push"},
		{docker, build.Request{Output: []string{"out"}}, "folder out"},
		{docker, build.Request{Output: []string{"type=cacheonly"}}, "unnamed"},
		{container, build.Request{Tag: []string{"a"}}, "cache"},
		{loading, build.Request{Tag: []string{"a"}}, "daemon[a]"},
		{container, build.Request{Tag: []string{"a"}, Load: true, Push: true}, "push[a], daemon[a]"},
		{container, build.Request{Tag: []string{"a"}, Output: []string{"type=registry,push-by-digest=true"}}, "push[a] by digest"},
		{container, build.Request{Tag: []string{"a"}, Output: []string{"type=image,push=true,registry.insecure=true"}}, "push[a] insecure"},
		{container, build.Request{Output: []string{"type=oci,dest=x.tar"}}, "archive x.tar"},
		{container, build.Request{Output: []string{"-"}}, "tarball -"},
		{container, build.Request{Output: []string{"type=docker,dest=x.tar"}}, "archive x.tar docker"},
		{container, build.Request{Output: []string{"type=oci,tar=false,dest=dir"}}, "layout dir"},
		{container, build.Request{Output: []string{"type=tar,dest=x.tar", "type=local,dest=d"}}, "tarball x.tar, folder d"},
	} {
		outputs, err := planOutputs(&test.request, test.kind)
		if err != nil {
			t.Errorf("%+v: %v", test.request.Output, err)
			continue
		}
		if got := describeOutputs(outputs); got != test.want {
			t.Errorf("%+v on %+v: got %q, want %q", test.request, test.kind, got, test.want)
		}
	}
}

func describeOutputs(outputs []output) string {
	var all []string
	for _, o := range outputs {
		s := string(o.place)
		if len(o.names) > 0 {
			s += fmt.Sprint(o.names)
		}
		if o.dest != "" {
			s += " " + o.dest
		}
		for text, is := range map[string]bool{" push": o.push, " by digest": o.byDigest, " insecure": o.insecure, " docker": o.docker && o.place == archive} {
			if is {
				s += text
			}
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func TestPlanOutputsRefuses(t *testing.T) {
	for _, test := range []struct {
		kind    builderKind
		request build.Request
	}{
		{container, build.Request{Push: true}},
		{container, build.Request{Output: []string{"type=image,name=a"}}},
		{container, build.Request{Output: []string{"type=strange"}}},
		{container, build.Request{Output: []string{"type=local"}}},
		{container, build.Request{Output: []string{"type=local,dest=/d,mode=delete"}}},
		{container, build.Request{Tag: []string{"a"}, Output: []string{"type=image,push=perhaps"}}},
	} {
		_, err := planOutputs(&test.request, test.kind)
		if usage := (*build.UsageError)(nil); !errors.As(err, &usage) {
			t.Errorf("%+v: got %v, want a UsageError", test.request, err)
		}
	}
}

// TestExportsNameNothing is P3: whatever the request, BuildKit is told no name, nothing to push, and no final path.
func TestExportsNameNothing(t *testing.T) {
	requests := []build.Request{
		{Tag: []string{"a"}, Push: true, Load: true},
		{Output: []string{"type=image,name=a,push=true,compression=zstd", "type=oci,dest=x.tar,name=b", "type=local,dest=d", "type=tar,dest=t"}},
		{Output: []string{"type=docker,dest=x,name=a,context=c"}},
		{Tag: []string{"a"}, Output: []string{"type=registry,push-by-digest=true,name-canonical=true"}},
	}
	for _, kind := range []builderKind{docker, container, loading} {
		for _, r := range requests {
			outputs, err := planOutputs(&r, kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range exports(outputs, "/stage/build-1", nil) {
				for _, attr := range namingAttrs {
					if v, ok := e.Attrs[attr]; ok && attr != "tar" {
						t.Errorf("%+v: the export %s has %s=%s", r, e.Type, attr, v)
					}
				}
				for _, dest := range []string{"d", "t", "x", "x.tar"} {
					if e.OutputDir == dest {
						t.Errorf("%+v: the export %s writes to %s", r, e.Type, dest)
					}
				}
				if e.Type == client.ExporterImage && !kind.dockerStore {
					t.Errorf("%+v: an image export on a builder without a store", r)
				}
			}
		}
	}
}

func TestExportsShareLayouts(t *testing.T) {
	r := build.Request{Tag: []string{"a"}, Output: []string{"type=registry", "type=oci,dest=x.tar", "type=oci,dest=y.tar,compression=zstd"}}
	outputs, err := planOutputs(&r, container)
	if err != nil {
		t.Fatal(err)
	}
	list := exports(outputs, "/stage/build-1", map[string]string{"annotation.a": "b"})
	if len(list) != 2 {
		t.Fatalf("got %d exports, want one for each compression", len(list))
	}
	if stagedAt(outputs, 0, "/s") != stagedAt(outputs, 1, "/s") || stagedAt(outputs, 0, "/s") == stagedAt(outputs, 2, "/s") {
		t.Error("outputs with the same attributes must share a layout, others must not")
	}
	if compressions := []string{list[0].Attrs["compression"], list[1].Attrs["compression"]}; !slices.Equal(compressions, []string{"", "zstd"}) {
		t.Errorf("got compressions %q", compressions)
	}
	for _, e := range list {
		if !maps.Equal(map[string]string{"annotation.a": "b"}, map[string]string{"annotation.a": e.Attrs["annotation.a"]}) {
			t.Errorf("the export %v lacks the annotation", e.Attrs)
		}
	}
}
