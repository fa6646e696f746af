// Package all is the list of the secret sources.
package all

import (
	"io"
	"os"
	"slices"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/agefile"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/dockerlogin"
	"github.com/tightlip/tightlip/secret/source/env"
	"github.com/tightlip/tightlip/secret/source/fd"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/identity"
	"github.com/tightlip/tightlip/secret/source/minter"
	"github.com/tightlip/tightlip/secret/source/netrc"
	"github.com/tightlip/tightlip/secret/source/provider"
	"github.com/tightlip/tightlip/secret/source/store"
	"github.com/tightlip/tightlip/secret/source/tool"
)

// Options are what the sources see of the process. The zero value has no streams and the working directory.
type Options struct {
	Dir    string    // where relative paths of files start
	Stdin  io.Reader // what - reads. Commands get it too if it is a file: see command.Options
	Stderr io.Writer // where commands write what they have to say to the user

	runner *command.Runner // one for all
}

func (o Options) programs() *command.Runner {
	if o.runner != nil {
		return o.runner
	}
	stdin, _ := o.Stdin.(*os.File)
	return command.NewRunner(command.Options{Stderr: o.Stderr, Stdin: stdin})
}

// Resolver returns a resolver with every source there is, and with those that executables on PATH are.
func Resolver(opts Options) *secret.Resolver {
	opts.runner = opts.programs()
	r := secret.NewResolver(Sources(opts)...)
	r.SetOther(provider.Find(opts.runner))
	return r
}

// Sources returns every source there is. A new one gets its line here, and its contract test next to it.
func Sources(opts Options) []secret.Source {
	runner := opts.programs()
	files := file.Source{Dir: opts.Dir}
	local := []secret.Source{
		files,
		env.Source{},
		command.Source{Runner: runner},
		netrc.Source{Files: files},
		dockerlogin.Source{Runner: runner, Files: files},
		agefile.Source{Files: files},
	}
	local = append(local, tool.Sources(runner, files)...)
	local = append(local, fd.Sources(opts.Stdin)...)
	local = append(local, identity.Sources()...)
	resolve := secret.NewResolver(local...).Resolve // what stands in references is local, so that following them ends
	return slices.Concat(local, store.Sources(store.Options{Resolve: resolve}), minter.Sources(minter.Options{Resolve: resolve}))
}
