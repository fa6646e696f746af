package cli

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// maxDockerfile bounds, in bytes, what is read as a Dockerfile.
const maxDockerfile = 16 << 20

type translateOptions struct {
	target    string
	buildArgs []string
	builder   string
}

func (a *app) translateCommand() *cobra.Command {
	o := &translateOptions{}
	cmd := &cobra.Command{
		Use:   "translate [flags] DOCKERFILE",
		Short: "Write a Dockerfile for builders that have no mounts",
		Long: `Print the Dockerfile that does the same on a builder without BuildKit's secret, ssh and tmpfs mounts and without heredocs:
its steps fetch what they mount from a server that "tightlip serve" runs. Everything else stays as it is.

Base images are taken to run as root: a base image with another USER needs a USER instruction before the step.

Exit codes: 0 written; 2 an instruction has no translation.`,
		Example: `  tightlip translate Dockerfile
  tightlip translate --for kaniko --target app Dockerfile > Dockerfile.kaniko`,
		Args: exactArgs(1, "a Dockerfile, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error { return a.runTranslate(o, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.builder, "for", "classic", "the builder: classic or kaniko, which need the same")
	flags.StringVar(&o.target, "target", "", "the last `stage` to translate")
	flags.StringArrayVar(&o.buildArgs, "build-arg", nil, "build `argument` that FROM uses, as NAME=VALUE")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(translateFor, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var translateFor = []string{"classic", "kaniko"}

func (a *app) runTranslate(o *translateOptions, name string) error {
	if !slices.Contains(translateFor, o.builder) {
		return usageError(fmt.Errorf("no translation for %q", o.builder), "--for classic or --for kaniko")
	}
	text, err := a.readDockerfile(name)
	if err != nil {
		return err
	}
	f, err := dockerfile.Parse(name, text)
	if err != nil {
		return usageError(err, "")
	}
	r, err := translate.For(translate.Builder{}, f, translate.Options{
		Target: o.target, BuildArgs: build.Arguments(o.buildArgs), NoFiles: true, Variable: build.Variable,
	})
	if err != nil {
		return usageError(fmt.Errorf("%s: %w", name, err), "")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(a.streams.Err, "tightlip: note: %s:%d %s\n", name, n.Line, n.Text)
	}
	_, err = a.streams.Out.Write(r.Dockerfile)
	return err
}

func (a *app) readDockerfile(name string) ([]byte, error) {
	in := io.Reader(a.streams.In)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usageError(err, "the path of a Dockerfile, or -")
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, maxDockerfile))
}
