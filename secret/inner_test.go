package secret_test

import (
	"slices"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

func TestInner(t *testing.T) {
	known := []string{"file", "env", "cmd", "stdin"}
	for rest, want := range map[string][]secret.Ref{
		"kv/ci#pip": nil,
		"kv/ci?auth=jwt&role=a:b&audience=https://x.corp.example": nil,
		"kv/ci?jwt=cmd:pass%20x%20%23y#pip":                       {{Scheme: "cmd", Rest: "pass x #y"}},
		"kv/ci?jwt=%63md:x&jwt=-":                                 {{Scheme: "cmd", Rest: "x"}, {Scheme: "stdin"}},
		"kv/ci#pip?jwt=cmd:x":                                     nil,
		"kv/ci?jwt=%zz":                                           nil,
	} {
		if got := (secret.Ref{Scheme: "vault", Rest: rest}).Inner(known); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", rest, got, want)
		}
	}
}
