package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/classic"
	"github.com/tightlip/tightlip/build/engine/podman"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/journal"
	"github.com/tightlip/tightlip/secret/source/all"
)

// reapTime bounds how long reap waits for engines.
const reapTime = time.Minute

type reapOptions struct{ forget bool }

func (a *app) reapCommand() *cobra.Command {
	o := &reapOptions{}
	cmd := &cobra.Command{
		Use:   "reap",
		Short: "Remove what killed builds left",
		Long: `A build removes everything of its own when it ends, also when it fails or is interrupted. One that is killed (kill -9, out of
memory, a power cut) cannot: this finds and removes the folders, containers, images and copies of secrets that it left, and revokes
the credentials that it minted, by the journal of their ids. Builds that still run are not touched.

Exit codes: 0 nothing is left; 2 something could not be removed, such as that of a Docker that DOCKER_HOST does not name.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runReap(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.forget, "forget", false, "forget the credentials that cannot be revoked now, too")
	return cmd
}

func (a *app) runReap(ctx context.Context, o *reapOptions) error {
	cfg, err := a.loadOwn()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reapTime)
	defer cancel()
	removed, err := build.Reap(ctx, filepath.Join(cfg.CacheDir, "stage"), a.removeResidue)
	files, ferr := build.ReapSecretFiles()
	err = errors.Join(err, ferr)
	for _, r := range append(removed, files...) {
		fmt.Fprintf(a.streams.Out, "removed %s\n", r)
	}
	endings, lerr := a.reapLeases(ctx, cfg, o.forget)
	for _, e := range endings {
		if problem := unreaped(e); problem != nil && !o.forget {
			lerr = errors.Join(lerr, problem)
			continue
		}
		fmt.Fprintf(a.streams.Out, "lease %s of %s: %s\n", e.Called(), e.Ref, e)
	}
	return errors.Join(err, lerr)
}

// unreaped is why a lease may be alive that somebody can end, or that does not end on its own.
func unreaped(e secret.Ending) error {
	switch {
	case e.Fate == secret.Unrevoked:
		return fmt.Errorf("lease %s of %s could not be revoked: %w", e.Called(), e.Ref, e.Err)
	case e.Fate == secret.Lives && e.Expires.IsZero() && !e.Unsure:
		return usageError(fmt.Errorf("lease %s of %s %s", e.Called(), e.Ref, e), "delete it at the issuer, then tightlip reap --forget")
	case e.Fate == secret.Unknown && !e.Unsure:
		return usageError(fmt.Errorf("lease %s of %s is %s, who was asked at the server and with the credentials that the environment names now", e.Called(), e.Ref, e.Fate),
			"if the build had others, set them and reap again; if it was revoked by hand, tightlip reap --forget")
	}
	return nil
}

func (a *app) reapLeases(ctx context.Context, cfg *config.Config, forget bool) ([]secret.Ending, error) {
	folder := leaseFolder(cfg)
	if folder == "" {
		return nil, nil
	}
	return journal.Reap(ctx, folder, forget, func(scheme, dir string) (secret.Minter, bool) {
		return secret.NewResolver(all.Sources(all.Options{Dir: dir, Stderr: a.streams.Err})...).Minter(scheme)
	})
}

// removeResidue removes one thing that a build noted. Something that is gone is removed.
func (a *app) removeResidue(ctx context.Context, r build.Residue) error {
	switch {
	case podman.Removes(r.Kind):
		return podman.Remove(ctx, r, podman.Options{Environ: a.engineEnviron(nil)})
	case !classic.Removes(r.Kind):
		return errors.New("this tightlip does not know how")
	}
	api := a.dockerClient()
	if api == nil || api.DaemonHost() != r.Where {
		return usageError(fmt.Errorf("it is in another Docker"), "DOCKER_HOST="+r.Where+" tightlip reap")
	}
	return classic.Remove(ctx, r, api)
}
