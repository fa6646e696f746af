package minter

import (
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

// TestGrade: a reference that asks for more than a kind's best is not of the kind's grade, and the examples are.
func TestGrade(t *testing.T) {
	tests := map[string]secret.Grade{
		"vault-token:?ttl=x":                                                                secret.GradeD, // it is none
		"vault-token:?ttl=10m":                                                              secret.GradeB,
		"vault-token:?policies=root":                                                        secret.GradeB,
		"vault-token:ci?policies=ci-read,root":                                              secret.GradeB,
		"vault-token:?policies=ci-read&ttl=2h":                                              secret.GradeC,
		"openbao-token:?ttl=24h":                                                            secret.GradeC,
		"vault-token:ci":                                                                    secret.GradeA,
		"vault-token:?policies=ci-read&ttl=1h":                                              secret.GradeA,
		"vault-lease:database/creds/ci#password":                                            secret.GradeA,
		"github-app:1/2?key=env:K":                                                          secret.GradeB,
		"github-app:1/2?key=env:K&repositories=a":                                           secret.GradeA,
		"gitea:https://a?user=a&token=env:T&scopes=b":                                       secret.GradeB,
		"ssh-cert:ca?principals=git&ttl=2h":                                                 secret.GradeC,
		"oauth2:https://a?client-id=a&client-secret=env:T&scope=b":                          secret.GradeC,
		"oauth2:https://a?client-id=a&client-secret=env:T&revoke-url=https://a":             secret.GradeB,
		"oauth2:https://a?client-id=a&client-secret=env:T&revoke-url=https://a&audience=b":  secret.GradeA,
		"jfrog:https://a?token=env:T&scope=applied-permissions/user":                        secret.GradeB,
		"jfrog:https://a?token=env:T&scope=applied-permissions/groups:readers":              secret.GradeA,
		"jfrog:https://a?token=env:T&scope=applied-permissions/groups:readers&ttl=24h":      secret.GradeC,
		"gitlab:https://a/b/c?token=env:T&scopes=read_registry":                             secret.GradeA,
		"token-exchange:https://a?client-id=a&client-secret=env:T&subject=env:S&audience=b": secret.GradeC,
	}
	for _, k := range kinds {
		tests[k.example] = k.about.Grade
	}
	resolver := secret.NewResolver(Sources(Options{})...)
	for text, want := range tests {
		scheme, rest, _ := strings.Cut(text, ":")
		if got := resolver.Grade(secret.Ref{Scheme: scheme, Rest: rest}); got != want {
			t.Errorf("%s: grade %s, not %s", text, got, want)
		}
	}
}
