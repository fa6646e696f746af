package secrettest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// notes is a new source: it resolves note:NAME from a map.
type notes map[string]string

func (notes) Scheme() string { return "note" }

func (n notes) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, ok := n[ref.Rest]
	switch {
	case !ok:
		return nil, &secret.ResolveError{
			Ref: ref, Problem: "there is no note " + ref.Rest, Try: "write the note first", Err: secret.ErrNotFound,
		}
	case text == "":
		return nil, &secret.ResolveError{Ref: ref, Problem: "the note " + ref.Rest + " is blank", Err: secret.ErrEmpty}
	case len(text) > secret.MaxSize:
		return nil, &secret.ResolveError{Ref: ref, Err: secret.ErrTooLarge}
	}
	return &secret.Lease{Value: secret.NewValue([]byte(text)), ID: ref.String()}, nil
}

// contractOfNotes is the body of the new source's TestContract.
func contractOfNotes(t *testing.T) {
	secrettest.Contract(t, func(*testing.T) secrettest.Fixture {
		source := notes{}
		return secrettest.Fixture{
			Source: source,
			Put: func(_ *testing.T, value []byte) secret.Ref {
				name := fmt.Sprint(len(source))
				source[name] = string(value)
				return secret.Ref{Scheme: "note", Rest: name}
			},
			Missing: secret.Ref{Scheme: "note", Rest: "nothing"},
		}
	})
}

// To add a source: implement secret.Source, run the contract in its test, and give it a line in source/all.
func Example() {
	resolver := secret.NewResolver(notes{"npm": "not a real one"})
	ref, err := secret.ParseRef("note:npm")
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := resolver.Resolve(context.Background(), ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.ID, lease.Value)
	// Output: note:npm [sealed]
}
