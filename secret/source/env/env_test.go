package env_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(*testing.T) secrettest.Fixture {
		count := 0
		return secrettest.Fixture{
			Source: env.Source{},
			Put: func(t *testing.T, value []byte) secret.Ref {
				count++
				name := fmt.Sprintf("SECRET_FOR_TEST_%d", count)
				t.Setenv(name, string(value))
				return secret.Ref{Scheme: "env", Rest: name}
			},
			Unfit: func(value []byte) string {
				if bytes.IndexByte(value, 0) >= 0 {
					return "a variable cannot hold a zero byte"
				}
				return ""
			},
			Missing: secret.Ref{Scheme: "env", Rest: "SECRET_FOR_TEST_THAT_IS_NOT_SET"},
		}
	})
}

func TestErrors(t *testing.T) {
	source := env.Source{Lookup: func(name string) (string, bool) { return "", name == "EMPTY" }}
	for _, tt := range []struct{ name, want, hint string }{
		{"NPM_TOKEN", "environment variable NPM_TOKEN is not set", "export NPM_TOKEN=…"},
		{"EMPTY", "environment variable EMPTY is set but empty", "export EMPTY=…"},
	} {
		_, err := source.Resolve(t.Context(), secret.Ref{Scheme: "env", Rest: tt.name})
		re, ok := errors.AsType[*secret.ResolveError](err)
		if !ok {
			t.Fatalf("%s: got %v, want a ResolveError", tt.name, err)
		}
		if re.Error() != tt.want || re.Hint() != tt.hint {
			t.Errorf("%s: got %q, hint %q", tt.name, re.Error(), re.Hint())
		}
	}
}

func Example() {
	resolver := secret.NewResolver(env.Source{})
	_, err := resolver.ResolveAll(context.Background(), []secret.Spec{
		{ID: "npm", Ref: secret.Ref{Scheme: "env", Rest: "EXAMPLE_NPM_TOKEN"}},
	})
	fmt.Println(err)
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		fmt.Println(re.Hint())
	}
	// Output:
	// secret npm: environment variable EXAMPLE_NPM_TOKEN is not set
	// export EXAMPLE_NPM_TOKEN=…, or --secret id=npm,src=FILE
}
