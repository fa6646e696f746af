package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
)

const (
	inImage = "FROM base\nRUN --mount=type=secret,id=npm fetch\n"
	inStage = "FROM base AS fetched\nRUN --mount=type=secret,id=npm fetch\nFROM base\nCOPY --from=fetched /a /a\n"
)

// builder keeps what steps left, as builders do. A step copies its secret into a layer, or does not.
type builder struct {
	issuer
	layers map[string]string // by the salt of the step
}

// build has a step run, or come from the cache. What was built has the step's layer, unless it fails after that.
func (b *builder) build(t *testing.T, dockerfile string, change func(*build.Request), step func(value string) (layer string, err error)) (out *build.Outcome, minted bool, err error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(b.values)
	e := &folderEngine{}
	e.files = func(job build.Job) map[string]string {
		salt := job.Fingerprints["npm"]
		if salt == "" || !strings.Contains(string(job.Dockerfile), "--mount=type=bind") {
			t.Error("the step depends on nothing that changes")
		}
		layer, cached := b.layers[salt]
		if !cached {
			layer, e.err = step(mount(t, job))
			b.layers[salt] = layer
		}
		return map[string]string{"layer": layer}
	}
	out, err = mintedRun(t, &b.issuer, e, func(r *build.Request) {
		r.Context = dir
		if change != nil {
			change(r)
		}
	})
	return out, len(b.values) > before, err
}

func keeps(value string) (string, error)  { return value, nil }
func drops(string) (string, error)        { return "nothing", nil }
func breaks(value string) (string, error) { return value, errors.New("a later step fails") }

// TestUnprovenStepsRunAgain has builds end without a proof, one way after the other.
func TestUnprovenStepsRunAgain(t *testing.T) {
	b := &builder{layers: map[string]string{}}
	for n, test := range []struct {
		step   func(string) (string, error)
		minted bool
		want   error // nil: the image has its name
	}{
		{breaks, true, errSome}, {keeps, true, build.ErrLeaked}, {keeps, true, build.ErrLeaked}, {drops, true, nil},
		{keeps, false, nil}, // from the cache
		{keeps, false, nil},
	} {
		out, minted, err := b.build(t, inImage, nil, test.step)
		if minted != test.minted || out.Named != (test.want == nil) || test.want == build.ErrLeaked && !errors.Is(err, test.want) {
			t.Errorf("%d: minted %t, named %t, %v", n, minted, out.Named, err)
		}
	}
}

var errSome = errors.New("some error")

// TestStepsOfStages has a proof of an image say nothing about a stage that another image may have more of.
func TestStepsOfStages(t *testing.T) {
	for name, test := range map[string]struct {
		first, second string
		change        func(*build.Request)
		minted        bool
	}{
		"the same":                        {inStage, inStage, nil, false},
		"a base by argument":              {"ARG B=base\n" + strings.Replace(inImage, "base", "$B", 1), "ARG B=base\n" + strings.Replace(inImage, "base", "$B", 1), func(r *build.Request) { r.BuildArg = []string{"B=other"} }, true},
		"another Dockerfile":              {inStage, inStage + "COPY --from=fetched /b /b\n", nil, true},
		"the stage itself":                {inStage, inStage, func(r *build.Request) { r.Target = "fetched" }, true},
		"another argument":                {inStage, inStage, func(r *build.Request) { r.BuildArg = []string{"WHAT=/b"} }, true},
		"in the image":                    {inImage, inImage + "RUN more\n", nil, false},
		"in the image, proven as a stage": {inStage, inImage, nil, true},
		"with less of a search":           {inImage, inImage, func(r *build.Request) { r.Skip = []string{"/a/*"} }, true},
		"in a folder":                     {inImage, inImage, func(r *build.Request) { r.Output = []string{"type=local,dest=x"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &builder{layers: map[string]string{}}
			if _, minted, err := b.build(t, test.first, nil, drops); err != nil || !minted {
				t.Fatalf("minted %t, %v", minted, err)
			}
			if _, minted, err := b.build(t, test.second, test.change, drops); err != nil || minted != test.minted {
				t.Errorf("minted %t, %v", minted, err)
			}
		})
	}
}

// TestBuildsAtOnce has a build begin while another one goes on with a salt that was proven: a builder would run their steps once for both.
func TestBuildsAtOnce(t *testing.T) {
	b := &builder{layers: map[string]string{}}
	if _, _, err := b.build(t, inImage, nil, drops); err != nil {
		t.Fatal(err)
	}
	clear(b.layers) // something that the step depends on has changed
	_, _, err := b.build(t, inImage, nil, func(string) (string, error) {
		before := len(b.layers)
		if out, minted, err := b.build(t, inImage, nil, keeps); !errors.Is(err, build.ErrLeaked) || !minted || out.Named {
			t.Errorf("minted %t, %v", minted, err)
		}
		if len(b.layers) != before+1 {
			t.Error("the step is the same")
		}
		return "nothing", nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestStepsThatAreNotKnown has steps run that may mount the secret and get no salt.
func TestStepsThatAreNotKnown(t *testing.T) {
	for _, text := range []string{
		"", // which only the engine can read
		"# syntax=npm.corp.example/dockerfile\n" + inImage,
		"FROM base\nARG ID=npm\nRUN --mount=type=secret,id=$ID fetch\n",
		"FROM base\nARG T\nRUN --mount=type=secret,target=${T:-/root/npm} fetch\n",
		"FROM base\nARG M\nRUN --mount=type=secret,id=npm,mode=$M fetch\n",
		"FROM base AS triggers\nONBUILD RUN --mount=type=secret,id=npm fetch\nFROM triggers\n",
	} {
		e := &folderEngine{files: func(job build.Job) map[string]string {
			if !job.Request.NoCache {
				t.Errorf("%q: a step may come from the cache", text)
			}
			return clean(job)
		}}
		_, err := mintedRun(t, &issuer{}, e, func(r *build.Request) {
			if text == "" {
				return
			}
			if err := os.WriteFile(filepath.Join(r.Context, "Dockerfile"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}
