package secret_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tightlip/tightlip/secret"
)

func ExampleParseSpecs() {
	specs, err := secret.ParseSpecs([]string{"id=npmrc,src=.npmrc", "id=pip,env=PIP_TOKEN", "id=npm,from=file:.env#NPM_TOKEN"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range specs {
		fmt.Println(s.ID, "comes from", s.Ref)
	}
	// Output:
	// npmrc comes from file:.npmrc
	// pip comes from env:PIP_TOKEN
	// npm comes from file:.env#NPM_TOKEN
}

func ExampleResolver_ResolveAll() {
	source := table{scheme: "table", leases: map[string]*secret.Lease{
		"a": {Value: secret.NewValue([]byte("not a real one")), ID: "table entry a", Revoke: func(context.Context) error {
			fmt.Println("revoked")
			return nil
		}},
	}}
	ctx := context.Background()
	set, err := secret.NewResolver(source).ResolveAll(ctx, []secret.Spec{{ID: "npm", Ref: secret.Ref{Scheme: "table", Rest: "a"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := set.Close(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	for id, lease := range set.All() {
		fmt.Println(id, lease.ID, lease.Value)
	}
	// Output:
	// npm table entry a [sealed]
	// revoked
}
