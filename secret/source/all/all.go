// Package all is the list of the secret sources.
package all

import (
	"io"
	"os"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/env"
	"github.com/tightlip/tightlip/secret/source/fd"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/identity"
	"github.com/tightlip/tightlip/secret/source/minter"
	"github.com/tightlip/tightlip/secret/source/store"
)

// Options are what the sources see of the process. The zero value has no streams and the working directory.
type Options struct {
	Dir    string    // where relative paths of files start
	Stdin  io.Reader // what - reads. Commands get it too if it is a file: see command.Options
	Stderr io.Writer // where commands write what they have to say to the user
}

// Sources returns every source there is. A new one gets its line here, and its contract test next to it.
func Sources(opts Options) []secret.Source {
	stdin, _ := opts.Stdin.(*os.File)
	local := []secret.Source{
		file.Source{Dir: opts.Dir},
		env.Source{},
		command.New(command.Options{Stderr: opts.Stderr, Stdin: stdin}),
	}
	local = append(local, fd.Sources(opts.Stdin)...)
	local = append(local, identity.Sources()...)
	// What stands in references is local, so that following them ends.
	resolve := secret.NewResolver(local...).Resolve
	sources := append(local, store.Sources(store.Options{Resolve: resolve})...)
	return append(sources, minter.Sources(minter.Options{Resolve: resolve})...)
}
