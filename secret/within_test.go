package secret_test

import (
	"slices"
	"testing"
)

func TestWithin(t *testing.T) {
	for ref, want := range map[string][]string{
		"file:a?key=file:b": nil,
		"cmd:a?key=file:b":  nil,
		"github-app:1/2?key=file:app.pem&permissions=contents:read": {"file", "contents"},
		"vault:a?jwt=github-oidc:https%3A%2F%2Fv%3Fkey=cmd:x#b":     {"github-oidc", "cmd"},
		"vault:a#b?key=cmd:x": nil,
	} {
		if got := mustParse(t, ref).Within(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
}

func TestWithinIn(t *testing.T) {
	for ref, want := range map[string]string{
		"github-app:1/2?key=file:app.pem&permissions=contents:read#x": "github-app:1/2?key=file:/p/app.pem&permissions=contents:read#x",
		"github-app:1/2?key=file:~/app.pem":                           "github-app:1/2?key=file:~/app.pem",
		"github-app:1/2?key=file:a.json%23k":                          "github-app:1/2?key=file:/p/a.json%23k",
		"ssh-cert:keys/ca?ttl=10m":                                    "ssh-cert:/p/keys/ca?ttl=10m",
		"age:a.age":                                                   "age:/p/a.age",
		"sops:/a.yaml#b":                                              "sops:/a.yaml#b",
		"vault:kv/ci#pip":                                             "vault:kv/ci#pip",
		"cmd:a?key=file:b":                                            "cmd:a?key=file:b",
	} {
		got, err := mustParse(t, ref).In("/p")
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", ref, got, err)
		}
	}
}
