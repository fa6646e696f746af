package all_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
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

// TestExamples runs the examples that need nothing but themselves. Those of the other sources run in their own tests.
func TestExamples(t *testing.T) {
	t.Setenv("NPM_TOKEN", "x")
	for _, source := range all.Sources(all.Options{Stdin: strings.NewReader("x")}) {
		ref, err := secret.ParseRef(source.(secret.Described).About().Example)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"env", "cmd", "stdin"}, ref.Scheme) {
			continue
		}
		if _, err := source.Resolve(t.Context(), ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// TestDocs reads the references in the documentation: each is one, of a scheme that there is.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    (?:[A-Za-z0-9].*?  +)?([a-z-]+:[^ ].*?)(?:  +[#(].*)?$`).FindAllSubmatch(text, -1)
	if len(found) < 20 {
		t.Errorf("found %d references only", len(found))
	}
	for _, m := range found {
		ref, err := secret.ParseRef(string(m[1]))
		if err == nil {
			err = all.Resolver(all.Options{}).Check(ref)
		}
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
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
