package identity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/identity"
)

func source(t *testing.T, scheme string) secret.Source {
	t.Helper()
	for _, s := range identity.Sources() {
		if s.Scheme() == scheme {
			return s
		}
	}
	t.Fatalf("there is no source %s", scheme)
	return nil
}

// github is a job that may have tokens.
func github(t *testing.T) (secret.Source, *fake.Issuer) {
	t.Helper()
	i := fake.NewIssuer(t)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", i.RequestURL)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", i.RequestToken)
	return source(t, "github-oidc"), i
}

// claimed makes a source of what a claim of its tokens holds, so that the contract can ask for any value. An empty value is no token.
type claimed struct{ secret.Source }

func (c claimed) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	lease, err := c.Source.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	token, err := jwt.ParseInsecure(lease.Value.Open())
	if err != nil {
		return nil, err
	}
	var text string
	if err := token.Get("value", &text); err != nil {
		return nil, err
	}
	value, err := base64.StdEncoding.DecodeString(text)
	lease.Value = secret.NewValue(value)
	return lease, err
}

// token has a value in a claim.
func token(i *fake.Issuer, value []byte) string {
	if len(value) == 0 {
		return ""
	}
	return i.Sign(map[string]any{"value": base64.StdEncoding.EncodeToString(value)})
}

func TestContractGitHub(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		s, i := github(t)
		i.Prepared = map[string]string{}
		ref := func(audience string) secret.Ref { return secret.Ref{Scheme: s.Scheme(), Rest: audience} }
		return secrettest.Fixture{
			Source: claimed{s},
			Put: func(_ *testing.T, value []byte) secret.Ref {
				audience := fmt.Sprintf("https://a%d.corp.example/?x=y&z", len(i.Prepared))
				i.Prepared[audience] = token(i, value)
				return ref(audience)
			},
			Blocked: func(*testing.T) secret.Ref { i.Fail(fake.Fault{Slow: true}); return ref("a") },
			Broken: func(_ *testing.T, value []byte) []secret.Ref {
				i.Prepared["broken"], i.Prepared["expired"] = string(value), i.Sign(map[string]any{"v": string(value), "exp": time.Now().Add(-time.Hour)})
				return []secret.Ref{ref("broken"), ref("expired")}
			},
		}
	})
}

func TestContractGitLab(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		i, n := fake.NewIssuer(t), 0
		ref := func(name, value string) secret.Ref {
			t.Setenv(name, value)
			return secret.Ref{Scheme: "gitlab-oidc", Rest: name}
		}
		return secrettest.Fixture{
			Source:  claimed{source(t, "gitlab-oidc")},
			Missing: secret.Ref{Scheme: "gitlab-oidc", Rest: "ID_TOKEN_THAT_IS_NOT_SET"},
			Put: func(_ *testing.T, value []byte) secret.Ref {
				n++
				return ref(fmt.Sprintf("ID_TOKEN_%d", n), token(i, value))
			},
			Broken: func(_ *testing.T, value []byte) []secret.Ref {
				return []secret.Ref{ref("ID_TOKEN_BROKEN", string(value))}
			},
		}
	})
}

// TestGitHub has the token verified as who trusts the issuer would.
func TestGitHub(t *testing.T) {
	s, i := github(t)
	ref, err := secret.ParseRef(s.(secret.Described).About().Example)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := s.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := i.Verify(string(lease.Value.Open()), "https://vault.corp.example", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := verified.Expiration(); !end.Equal(lease.Expires) {
		t.Errorf("the token ends %v, the lease %v", end, lease.Expires)
	}
	if _, err := i.Verify(string(lease.Value.Open()), "https://elsewhere.corp.example", time.Now); err == nil {
		t.Error("the token is for any audience")
	}
	if lease.Revoke != nil {
		t.Error("such tokens cannot be revoked")
	}
}

func TestGitLab(t *testing.T) {
	s, i := source(t, "gitlab-oidc"), fake.NewIssuer(t)
	ref, err := secret.ParseRef(s.(secret.Described).About().Example)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(ref.Rest, i.Sign(map[string]any{"aud": "https://vault.corp.example"})+"\n")
	lease, err := s.Resolve(t.Context(), ref)
	if err != nil || time.Until(lease.Expires) > 6*time.Minute || time.Until(lease.Expires) < 4*time.Minute {
		t.Fatalf("got %+v, %v", lease, err)
	}
	if _, err := i.Verify(string(lease.Value.Open()), "https://vault.corp.example", time.Now); err != nil {
		t.Error(err)
	}
}

// TestFailures has no failure that is taken for a token that does not exist.
func TestFailures(t *testing.T) {
	for name, fault := range fake.Faults() {
		t.Run(name, func(t *testing.T) {
			s, i := github(t)
			i.Fail(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if fault.Slow {
				ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
			}
			_, err := s.Resolve(ctx, secret.Ref{Scheme: s.Scheme(), Rest: "a"})
			if fault.Times == 1 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			re, ok := errors.AsType[*secret.ResolveError](err)
			if !ok || errors.Is(err, secret.ErrNotFound) || fault.Slow != errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(re.Error(), i.Bait) || strings.Contains(re.Error(), i.RequestToken) || !strings.Contains(re.Hint(), "id-token: write") {
				t.Errorf("got %q, %q", re.Error(), re.Hint())
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "")
	t.Setenv("NO_TOKEN", "x")
	t.Setenv("NOTHING", "")
	for ref, want := range map[secret.Ref]string{
		{Scheme: "github-oidc", Rest: "a"}:        "the token of github-oidc:a cannot be asked for: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set | add permissions: {id-token: write} to the job",
		{Scheme: "gitlab-oidc", Rest: "NO_TOKEN"}: "the token of gitlab-oidc:NO_TOKEN is not a JSON Web Token | add id_tokens: {NAME: {aud: AUDIENCE}} to the job",
		{Scheme: "gitlab-oidc", Rest: "NOTHING"}:  "the token of gitlab-oidc:NOTHING is empty | add id_tokens: {NAME: {aud: AUDIENCE}} to the job",
	} {
		_, err := source(t, ref.Scheme).Resolve(t.Context(), ref)
		re, ok := errors.AsType[*secret.ResolveError](err)
		if !ok || re.Error()+" | "+re.Hint() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func Example() {
	for _, s := range identity.Sources() {
		about := s.(secret.Described).About()
		fmt.Println(about.Form, "is", about.What)
	}
	// Output:
	// github-oidc:AUDIENCE is a token by which GitHub Actions (also Gitea's and Forgejo's) vouches for this job
	// gitlab-oidc:VARIABLE is a token by which GitLab vouches for this job, as .gitlab-ci.yml names it
}
