package output

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
)

var (
	docker    = Builder{Store: true, DefaultLoad: true}
	container = Builder{}
	loading   = Builder{DefaultLoad: true}
)

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		kind    Builder
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
		outputs, err := Plan(&test.request, test.kind)
		if err != nil {
			t.Errorf("%+v: %v", test.request.Output, err)
			continue
		}
		if got := describeAll(outputs); got != test.want {
			t.Errorf("%+v on %+v: got %q, want %q", test.request, test.kind, got, test.want)
		}
	}
}

func describeAll(outputs []Output) string {
	var all []string
	for _, o := range outputs {
		s := string(o.Place)
		if len(o.Names) > 0 {
			s += fmt.Sprint(o.Names)
		}
		if o.Dest != "" {
			s += " " + o.Dest
		}
		for text, is := range map[string]bool{" push": o.Push, " by digest": o.ByDigest, " insecure": o.Insecure, " docker": o.Docker && o.Place == Archive} {
			if is {
				s += text
			}
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func TestPlanRefuses(t *testing.T) {
	for _, test := range []struct {
		kind    Builder
		request build.Request
	}{
		{container, build.Request{Push: true}},
		{container, build.Request{Output: []string{"type=image,name=a"}}},
		{container, build.Request{Output: []string{"type=strange"}}},
		{container, build.Request{Output: []string{"type=local"}}},
		{container, build.Request{Output: []string{"type=local,dest=/d,mode=delete"}}},
		{container, build.Request{Tag: []string{"a"}, Output: []string{"type=image,push=perhaps"}}},
	} {
		_, err := Plan(&test.request, test.kind)
		if usage := (*build.UsageError)(nil); !errors.As(err, &usage) {
			t.Errorf("%+v: got %v, want a UsageError", test.request, err)
		}
	}
}
