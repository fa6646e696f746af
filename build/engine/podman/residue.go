package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/lazy"
)

// The kinds of residue, after the tool's name.
const (
	buildKind = " build" // its working containers, which hold secrets in plain text, and its steps; the ID is the folder of the build
	imageKind = " image"
)

// Removes tells whether Remove knows a kind of residue.
func Removes(kind string) bool {
	return slices.Contains([]string{
		string(Podman) + buildKind, string(Podman) + imageKind, string(Buildah) + buildKind, string(Buildah) + imageKind,
	}, kind)
}

// Remove removes what a killed build has noted. What is gone is no error, and an image that got a name stays.
func Remove(ctx context.Context, r build.Residue, o Options) error {
	tool, _, _ := strings.Cut(r.Kind, " ")
	e, err := New(ctx, Tool(tool), o)
	if err != nil {
		return err
	}
	if e.info.graphRoot != r.Where {
		return refuse("run it as the user, and with the CONTAINERS_STORAGE_CONF, of the build", "it is in another storage, %s", r.Where)
	}
	if strings.HasSuffix(r.Kind, imageKind) {
		return e.removeUnnamed(ctx, r.ID)
	}
	if !filepath.IsAbs(r.ID) || !folderName().MatchString(filepath.Base(r.ID)) {
		return errors.New("it is no folder of a build") // processes are found by its name
	}
	return e.sweep(ctx, r.ID)
}

// folderName is what the folder of a build is called.
var folderName = lazy.Regexp(`^p[A-Z2-7]{10}$`)

// sweep ends the steps of a build that still run and removes its containers. Both tools leave the current step's container when
// they are told to end, with its secrets, and podman even the step.
func (e *Engine) sweep(ctx context.Context, dir string) (err error) {
	ctx, cancel := build.CleanupContext(ctx)
	defer cancel()
	killSteps(dir)
	if e.info.runtime != "" {
		e.forgetSteps(ctx, dir)
	}
	for _, c := range e.containers(dir) {
		// First what matters, with nothing that could go wrong.
		if err := os.RemoveAll(filepath.Join(c, "userdata", "secrets")); err != nil {
			return fmt.Errorf("removing the secrets that %s left: %w", e.tool, err)
		}
		id := filepath.Base(c)
		args := []string{"rm", id}
		if e.tool == Podman {
			args = []string{"rm", "--force", id}
		}
		if _, rmErr := e.output(ctx, args...); rmErr != nil {
			if _, statErr := os.Stat(c); statErr == nil {
				err = errors.Join(err, fmt.Errorf("removing a container that %s left: %w", e.tool, rmErr))
			}
		}
	}
	return err
}

// containers are the folders of the containers of a build. The marker is in the record that buildah, the library of both tools,
// keeps of each.
func (e *Engine) containers(dir string) []string {
	records, _ := filepath.Glob(filepath.Join(e.info.graphRoot, e.info.driver+"-containers", "*", "userdata", "buildah.json"))
	var found []string
	for _, name := range records {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it is just being removed
		}
		var record struct{ CommonBuildOpts struct{ Secrets []string } }
		if json.Unmarshal(text, &record) != nil {
			continue
		}
		ours := func(spec string) bool { return strings.Contains(spec, "id="+markerID+",type=file,src="+dir+"/") }
		if slices.ContainsFunc(record.CommonBuildOpts.Secrets, ours) {
			found = append(found, filepath.Dir(filepath.Dir(name)))
		}
	}
	return found
}

// forgetSteps removes what the OCI runtime remembers of steps that were killed: state files and control groups. A control group is
// busy until the last process in it is gone.
func (e *Engine) forgetSteps(ctx context.Context, dir string) {
	for range 20 {
		if !e.forgetOnce(ctx, dir) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// forgetOnce reports whether to look again.
func (e *Engine) forgetOnce(ctx context.Context, dir string) (again bool) {
	oci := *e
	oci.path = e.info.runtime
	text, err := oci.output(ctx, "list", "--format", "json")
	var steps []struct{ ID, Bundle string }
	if err != nil || json.Unmarshal(text, &steps) != nil {
		return true
	}
	for _, s := range steps {
		if strings.HasPrefix(s.Bundle, dir+"/") {
			again = true
			_, _ = oci.output(ctx, "delete", "--force", s.ID)
		}
	}
	return again
}

// removeUnnamed removes an image, with those of its parents that nothing else uses, unless it has a name: by us, or by somebody
// who built the same.
func (e *Engine) removeUnnamed(ctx context.Context, id string) error {
	name := "{{.Name}}"
	if e.tool == Podman {
		name = "{{.Repository}}"
	}
	list, err := e.output(ctx, "images", "--all", "--no-trunc", "--format", "{{.ID}} "+name)
	if err != nil {
		return err
	}
	there := false
	for _, line := range strings.Split(string(list), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != id {
			continue
		}
		if there = true; len(fields) > 1 && fields[1] != "<none>" {
			return nil
		}
	}
	if !there {
		return nil
	}
	if _, err := e.output(ctx, "rmi", id); err != nil {
		return fmt.Errorf("removing what was not named: %w", err)
	}
	return nil
}
