package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/journal"
	"github.com/tightlip/tightlip/secret/source/all"
)

// load merges flags, environment and files. The flags are those that were given.
func (a *app) load(flags map[string]string) (*config.Config, error) {
	o, err := a.configOptions(flags)
	if err != nil {
		return nil, err
	}
	return config.Load(o)
}

// loadOwn is load without the project's file.
func (a *app) loadOwn() (*config.Config, error) {
	o, err := a.configOptions(map[string]string{})
	if err != nil {
		return nil, err
	}
	o.NoProject = true
	return config.Load(o)
}

func (a *app) configOptions(flags map[string]string) (config.Options, error) {
	dir, err := os.Getwd()
	if err != nil {
		return config.Options{}, err
	}
	if a.global.config != "" {
		flags["config"] = a.global.config
	}
	if len(a.global.allowSource) > 0 {
		flags["allow-source"] = strings.Join(a.global.allowSource, ",")
	}
	return config.Options{Dir: dir, Environ: os.Environ(), Flags: flags, Check: a.resolver(false).Check}, nil
}

// resolver knows all sources. Without stdin, - finds nothing and commands cannot read what is meant for the build.
func (a *app) resolver(stdin bool) *secret.Resolver {
	o := all.Options{Stderr: a.streams.Err}
	if stdin {
		o.Stdin = a.streams.In
	}
	return all.Resolver(o)
}

// minting is a resolver that keeps a journal of what it mints.
func (a *app) minting(cfg *config.Config, stdin bool) *secret.Resolver {
	r := a.resolver(stdin)
	dir, _ := os.Getwd() // load has had it
	a.journal = journal.New(leaseFolder(cfg), dir)
	r.SetJournal(a.journal)
	r.SetWaiting(a.waiting)
	return r
}

// waiting shows that something takes long, until what it returns is called.
func (a *app) waiting(what string) (done func()) { return newMeter(a.streams.Err, what).wait() }

// leaseFolder is where the journals of all processes are, or "".
func leaseFolder(cfg *config.Config) string {
	if cfg.StateDir == "" {
		return ""
	}
	return filepath.Join(cfg.StateDir, "leases")
}

// tellLeft tells in one line of what builds left that were killed, or could not revoke: nothing else would, until somebody runs reap.
func (a *app) tellLeft(cfg *config.Config) {
	folder := leaseFolder(cfg)
	if folder == "" {
		return
	}
	switch n := journal.Left(folder); n {
	case 0:
	case 1:
		fmt.Fprintln(a.streams.Err, "tightlip: note: a credential of an earlier run may be alive: tightlip reap revokes it")
	default:
		fmt.Fprintf(a.streams.Err, "tightlip: note: %d credentials of earlier runs may be alive: tightlip reap revokes them\n", n)
	}
}

// secrets reads the --secret flags, and what the configuration says about them.
func secrets(cfg *config.Config, texts, waived []string, rehearsal bool) ([]build.Secret, error) {
	specs, err := secret.ParseSpecs(texts)
	if err != nil {
		return nil, err
	}
	var out []build.Secret
	for _, spec := range specs {
		if !rehearsal { // which reads none
			if spec, err = cfg.Complete(spec, os.LookupEnv); err != nil {
				return nil, err
			}
		}
		entry, _ := cfg.Secret(spec.ID)
		out = append(out, build.Secret{
			ID: spec.ID, Ref: spec.Ref, RebuildOnChange: spec.RebuildOnChange, Waived: entry.Waive || slices.Contains(waived, spec.ID), Argument: spec.Argument,
		})
	}
	return out, checkWaived(waived, func(id string) bool {
		return slices.ContainsFunc(out, func(s build.Secret) bool { return s.ID == id })
	})
}

// checkWaived refuses to waive what there is not.
func checkWaived(ids []string, known func(id string) bool) error {
	for _, id := range ids {
		if !known(id) {
			return usageError(errors.New("--prove-waive "+id+": there is no secret with that id"), "")
		}
	}
	return nil
}

// tools are what a build or a proof needs of this machine.
func (a *app) tools(cfg *config.Config, stdin bool) (build.Tools, error) {
	if cfg.CacheDir == "" {
		return build.Tools{}, usageError(errors.New("there is no folder for the cache: neither XDG_CACHE_HOME nor HOME is set"), "set TIGHTLIP_CACHE_DIR")
	}
	cache, err := proof.OpenCache(filepath.Join(cfg.CacheDir, "proofs"))
	if err != nil {
		return build.Tools{}, err
	}
	meter := newMeter(a.streams.Err, "proving")
	return build.Tools{
		In: a.streams.In, Resolver: a.minting(cfg, stdin), Ended: a.showLeases, Cache: cache, StageDir: filepath.Join(cfg.CacheDir, "stage"), StepsDir: filepath.Join(cfg.CacheDir, "steps"),
		Redacting: a.setRedactor, Waiting: a.waiting, Progress: meter.show, Done: meter.clear,
	}, nil
}
