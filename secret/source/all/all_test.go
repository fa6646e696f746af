package all_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/all"
)

func TestSources(t *testing.T) {
	got := all.Resolver(all.Options{}).Schemes()
	if want := []string{"file", "env", "cmd", "netrc", "docker-credential", "age", "pass", "sops", "keyring", "fd", "stdin", "ssh-cert", "gitea"}; !slices.Equal(got, want) {
		t.Errorf("got the schemes %q, want %q", got, want)
	}
}

// TestAbout has every source say what it is, in words that are references where they should be.
func TestAbout(t *testing.T) {
	for _, source := range all.Sources(all.Options{}) {
		described, ok := source.(secret.Described)
		if !ok {
			t.Errorf("%s: does not say what it is", source.Scheme())
			continue
		}
		about := described.About()
		ref, err := secret.ParseRef(about.Example)
		if err != nil || ref.Scheme != source.Scheme() || about.What == "" || !strings.HasPrefix(about.Form, secret.Ref{Scheme: ref.Scheme}.String()) {
			t.Errorf("%s: %+v, %v", source.Scheme(), about, err)
		}
	}
}

func Example() {
	specs, err := secret.ParseSpecs([]string{"id=npm,from=-", "id=pip,from=cmd:printf x"})
	if err != nil {
		fmt.Println(err)
		return
	}
	resolver := all.Resolver(all.Options{Stdin: strings.NewReader("not a real one")})
	set, err := resolver.ResolveAll(context.Background(), specs)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close(context.Background())
	for id, lease := range set.All() {
		fmt.Println(id, lease.ID, lease.Value, lease.Value.Len())
	}
	// Output:
	// npm - [sealed] 14
	// pip cmd:printf x [sealed] 1
}
