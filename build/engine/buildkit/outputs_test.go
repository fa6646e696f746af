package buildkit

import (
	"maps"
	"slices"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
)

var (
	docker    = output.Builder{Store: true, DefaultLoad: true}
	container = output.Builder{}
	loading   = output.Builder{DefaultLoad: true}
)

// TestExportsNameNothing is P3: whatever the request, BuildKit is told no name, nothing to push, and no final path.
func TestExportsNameNothing(t *testing.T) {
	requests := []build.Request{
		{Tag: []string{"a"}, Push: true, Load: true},
		{Output: []string{"type=image,name=a,push=true,compression=zstd", "type=oci,dest=x.tar,name=b", "type=local,dest=d", "type=tar,dest=t"}},
		{Output: []string{"type=docker,dest=x,name=a,context=c"}},
		{Tag: []string{"a"}, Output: []string{"type=registry,push-by-digest=true,name-canonical=true"}},
	}
	for _, kind := range []output.Builder{docker, container, loading} {
		for _, r := range requests {
			outputs, err := output.Plan(&r, kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range exports(outputs, "/stage/build-1", nil) {
				for _, attr := range output.NamingAttrs {
					if v, ok := e.Attrs[attr]; ok && attr != "tar" {
						t.Errorf("%+v: the export %s has %s=%s", r, e.Type, attr, v)
					}
				}
				for _, dest := range []string{"d", "t", "x", "x.tar"} {
					if e.OutputDir == dest {
						t.Errorf("%+v: the export %s writes to %s", r, e.Type, dest)
					}
				}
				if e.Type == client.ExporterImage && !kind.Store {
					t.Errorf("%+v: an image export on a builder without a store", r)
				}
			}
		}
	}
}

func TestExportsShareLayouts(t *testing.T) {
	r := build.Request{Tag: []string{"a"}, Output: []string{"type=registry", "type=oci,dest=x.tar", "type=oci,dest=y.tar,compression=zstd"}}
	outputs, err := output.Plan(&r, container)
	if err != nil {
		t.Fatal(err)
	}
	list := exports(outputs, "/stage/build-1", map[string]string{"annotation.a": "b"})
	if len(list) != 2 {
		t.Fatalf("got %d exports, want one for each compression", len(list))
	}
	if output.StagedAt(outputs, 0, "/s") != output.StagedAt(outputs, 1, "/s") || output.StagedAt(outputs, 0, "/s") == output.StagedAt(outputs, 2, "/s") {
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
