package archtest

import (
	"errors"
	"go/types"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/tightlip/tightlip/"

// layers lists every package with those of ours that it may import. A package may also import what is below itself,
// and what it imports stands above it in the list: the flow has one direction.
var layers = []struct {
	name    string
	imports []string
}{
	{"internal/lazy", nil},
	{"internal/suggest", nil},
	{"internal/cachedir", nil},
	{"internal/lockfile", nil},
	{"finding", nil},
	{"secret", []string{"internal/suggest"}},
	{"secret/secrettest", []string{"secret"}},
	{"secret/fake", nil},
	{"secret/source/command", []string{"secret"}},
	{"secret/source/env", []string{"secret"}},
	{"secret/source/fd", []string{"secret"}},
	{"secret/source/file", []string{"secret", "internal/suggest"}},
	{"secret/journal", []string{"secret", "internal/lockfile"}},
	{"secret/source/netrc", []string{"secret", "secret/source/file"}},
	{"secret/source/dockerlogin", []string{"secret", "secret/source/command", "secret/source/file"}},
	{"secret/source/agefile", []string{"secret", "secret/source/file"}},
	{"secret/source/provider", []string{"secret", "secret/source/command"}},
	{"secret/source/tool", []string{"secret", "secret/source/command", "secret/source/file"}},
	{"secret/source/web", []string{"secret"}},
	{"secret/source/jwt", []string{"secret"}},
	{"secret/source/cloud", []string{"secret", "secret/source/jwt", "secret/source/web"}},
	{"secret/source/vault", []string{"secret", "secret/source/web"}},
	{"secret/source/identity", []string{"secret", "secret/source/jwt", "secret/source/web"}},
	{"secret/source/store", []string{"secret", "secret/source/cloud", "secret/source/file", "secret/source/vault", "secret/source/web"}},
	{"secret/source/minter", []string{"secret", "secret/source/cloud", "secret/source/jwt", "secret/source/vault", "secret/source/web"}},
	{"secret/source/all", []string{"secret", "secret/source"}},
	{"broker/shim", nil},
	{"broker/shimbin", nil},
	{"broker", []string{"broker/shim", "secret"}},
	{"broker/sshagent", []string{"broker"}},
	{"dockerfile", nil},
	{"dockerfile/translate", []string{"broker/shim", "dockerfile"}},
	{"scan", nil},
	{"image", []string{"finding"}},
	{"image/imagetest", []string{"image"}},
	{"image/sink", []string{"finding", "image"}},
	{"scan/detect", []string{"finding"}},
	{"scan/leaks", []string{"finding", "image", "internal/cachedir", "scan"}},
	{"scan/verify", []string{"finding"}},
	{"lint/edit", nil},
	{"lint/nesting", nil},
	{"lint/flow", []string{"lint/nesting"}},
	{"lint/caller", []string{"lint/edit", "lint/nesting", "scan/detect"}},
	{"lint", []string{"dockerfile", "finding", "image", "lint/caller", "lint/edit", "lint/flow", "lint/nesting", "scan/detect"}},
	{"proof", []string{"secret", "finding", "image", "internal/cachedir", "scan"}},
	{"internal/redact", []string{"proof"}},
	{"broker/gate", []string{"broker/shim", "secret", "proof", "internal/redact", "internal/suggest"}},
	{"build", []string{"internal/cachedir", "secret", "broker", "broker/shim", "finding", "dockerfile", "image", "scan/detect", "proof", "internal/redact", "internal/lockfile"}},
	{"build/buildtest", []string{"build", "secret", "proof", "image", "internal/redact"}},
	{"build/output", []string{"build", "image/sink"}},
	{"build/engine/embedded", []string{"internal/lockfile"}},
	{"build/engine/buildkit", []string{"secret", "broker", "build", "build/output", "build/engine/embedded", "dockerfile", "finding", "image", "internal/redact"}},
	{"build/engine/classic", []string{"broker", "build", "build/output", "dockerfile", "image"}},
	{"build/engine/podman", []string{"secret", "broker", "build", "build/output", "dockerfile", "image"}},
	{"conformance", nil},
	{"report", []string{"finding"}},
	{"internal/config", []string{"broker", "secret", "internal/suggest"}},
	{"internal/archtest", nil},
	{"internal/quickstart", nil},
	{"internal/corpus", nil},
	{"internal/storetest", nil},
	{"internal/enginetest", []string{"broker/shimbin"}},
	{"internal/cli", []string{"broker", "build", "conformance", "dockerfile", "finding", "image", "internal/config", "internal/redact", "lint", "proof", "report", "scan", "secret"}},
	{"cmd/tightlip", []string{"internal/cli", "internal/quickstart"}},
	{"cmd/tightlip-shim", []string{"broker/shim"}},
}

// everywhere is what any package may import.
const everywhere = "internal/lazy"

// openers lists the packages that may open a secret.Value.
var openers = []string{
	"secret", "secret/secrettest",
	"secret/source/command", "secret/source/file", // drop a newline, select a key
	"secret/source/jwt",         // signs with keys, reads when a token ends
	"secret/source/cloud",       // sends what it logs in with, reads accounts' files
	"secret/source/vault",       // sends what it logs in with
	"secret/source/store",       // checksums, certificates of kubeconfigs
	"secret/source/minter",      // signs with keys
	"secret/source/agefile",     // decrypts
	"secret/source/netrc",       // finds a host
	"secret/source/tool",        // takes a line
	"secret/source/web",         // attaches tokens to calls
	"secret/source/dockerlogin", // finds a registry
	"proof",                     // makes needles
	"build",                     // fingerprints for rebuild=on-change
	"build/engine/buildkit",     // hands values to BuildKit
	"build/engine/podman",       // hands values to podman and buildah
	"broker",                    // hands values to steps
	"broker/gate",               // attaches values to requests
}

// load type-checks the packages of the module, without their tests. It takes seconds, so the tests share it.
func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

var loaded = sync.OnceValues(func() ([]*packages.Package, error) {
	mode := packages.NeedName | packages.NeedImports | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedDeps
	pkgs, err := packages.Load(&packages.Config{Mode: mode, Dir: "../.."}, "./...")
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(pkgs) > 0 {
		return nil, errors.New("the module does not compile")
	}
	return slices.DeleteFunc(pkgs, func(p *packages.Package) bool {
		name := strings.TrimPrefix(p.PkgPath, module)
		return strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "demo")
	}), nil
})

func TestLayers(t *testing.T) {
	place := map[string]int{}
	for i, l := range layers {
		place[l.name] = i
		for _, dep := range l.imports {
			if j, ok := place[dep]; ok && j >= i {
				t.Errorf("the list lets %s import %s, which stands below it", l.name, dep)
			}
		}
	}
	for _, p := range load(t) {
		name := strings.TrimPrefix(p.PkgPath, module)
		i, ok := place[name]
		if !ok {
			t.Errorf("%s is in no layer: add it to the list in this test", name)
			continue
		}
		for path := range p.Imports {
			dep, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			if dep != everywhere && !allowed(layers[i].imports, dep) {
				t.Errorf("%s imports %s, which its layer does not allow", name, dep)
			}
			if place[dep] >= i {
				t.Errorf("%s imports %s: a back edge", name, dep)
			}
		}
	}
}

func allowed(list []string, dep string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return dep == l || strings.HasPrefix(dep, l+"/") })
}

// TestOpeners finds every use of secret.Value.Open, calls and method values alike.
func TestOpeners(t *testing.T) {
	found := map[string]bool{}
	for _, p := range load(t) {
		name := strings.TrimPrefix(p.PkgPath, module)
		for ident, obj := range p.TypesInfo.Uses {
			f, ok := obj.(*types.Func)
			if !ok || f.FullName() != "("+module+"secret.Value).Open" {
				continue
			}
			found[name] = true
			if !slices.Contains(openers, name) {
				t.Errorf("%s: %s opens a secret.Value and is not on the list", p.Fset.Position(ident.Pos()), name)
			}
		}
	}
	for _, name := range openers {
		if !found[name] {
			t.Errorf("%s is on the list and opens nothing: take it off", name)
		}
	}
}

// TestNoSecretsInReports keeps values out of reach of what prints.
func TestNoSecretsInReports(t *testing.T) {
	for _, p := range load(t) {
		name := strings.TrimPrefix(p.PkgPath, module)
		if name != "report" && name != "finding" && !strings.HasPrefix(name, "lint") {
			continue
		}
		packages.Visit([]*packages.Package{p}, nil, func(dep *packages.Package) {
			if dep.PkgPath == module+"secret" {
				t.Errorf("%s reaches the package secret", name)
			}
		})
	}
}
