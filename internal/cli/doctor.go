package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/buildkit"
	"github.com/tightlip/tightlip/build/engine/classic"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/build/engine/podman"
	"github.com/tightlip/tightlip/conformance"
)

// diagnosis is what doctor finds out about one engine.
type diagnosis struct {
	Engine   string   `json:"engine"`
	Name     string   `json:"name"` // of the builder
	Ready    bool     `json:"ready"`
	Detail   string   `json:"detail"`
	Delivers []string `json:"delivers"`
	History  string   `json:"history"` // what the engine keeps of a build
	Missing  string   `json:"missing,omitempty"`
	Get      string   `json:"get,omitempty"` // what to type
}

var (
	buildkitDelivers = []string{"secret mounts", "ssh mounts"}
	serverDelivers   = []string{"secrets and ssh agents over the build's network"}
)

// doctorTime bounds how long doctor waits for builders.
const doctorTime = 10 * time.Second

func (a *app) doctorCommand() *cobra.Command {
	var format, engine string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show which engines are here, what each can deliver, and what is missing",
		Long: `Look for everything that can build: each buildx builder, Docker's own included, Docker's classic builder, and the embedded engine.

With --conformance, run a table of what secrets in builds should do on an engine, by itself and through tightlip: some thirty
builds each, in a minute or two. As root it also looks for what builds leave in the engine's folders.

Exit codes: 0 something can build, or the engine conforms; 2 nothing can, or it does not.`,
		Example: `  tightlip doctor
  tightlip doctor --conformance classic`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if engine != "" {
				return a.runConformance(cmd.Context(), engine, format)
			}
			return a.runDoctor(cmd.Context(), format)
		},
	}
	cmd.Flags().StringVar(&engine, "conformance", "", "run the conformance table on an `engine`: docker, classic, podman, buildah or embedded")
	_ = cmd.RegisterFlagCompletionFunc("conformance", cobra.FixedCompletions(conformance.Names, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one object on standard output")
	return cmd
}

func (a *app) runDoctor(ctx context.Context, format string) error {
	if _, err := a.load(map[string]string{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	engines := append(a.diagnoseBuilders(ctx), a.diagnoseClassic(ctx), a.diagnoseTool(ctx, podman.Podman), a.diagnoseTool(ctx, podman.Buildah), diagnoseEmbedded())
	if format == "json" {
		if err := a.printJSON(map[string]any{"engines": engines}); err != nil {
			return err
		}
	} else {
		a.printDiagnoses(engines)
	}
	for _, d := range engines {
		if d.Ready {
			return nil
		}
	}
	return usageError(fmt.Errorf("nothing here can build"), "apt-get install runc for the embedded engine, or start Docker")
}

func (a *app) diagnoseBuilders(ctx context.Context) []diagnosis {
	failed := func(err error) []diagnosis {
		return []diagnosis{{
			Engine: "docker", Detail: err.Error(), Delivers: []string{}, Missing: "Docker's configuration cannot be read", Get: "look into ~/.docker",
		}}
	}
	cli, err := a.dockerCLI()
	if err != nil {
		return failed(err)
	}
	builders, err := buildkit.Builders(ctx, cli)
	if err != nil {
		return failed(err)
	}
	var out []diagnosis
	for _, b := range builders {
		d := diagnosis{Engine: "docker", Name: b.Name, Ready: b.Problem == "", Delivers: buildkitDelivers, History: "none"}
		if b.History {
			d.History = "logs of every build, not redacted; --prove-history searches and deletes them"
		}
		if d.Ready {
			d.Detail = fmt.Sprintf("BuildKit %s, %s driver", b.BuildKit, b.Driver)
		} else {
			d.Detail, d.Delivers, d.History = b.Problem, []string{}, ""
			d.Missing, d.Get = "the builder does not answer", "start Docker"
			if b.Driver != "" && b.Driver != "docker" {
				d.Get = "docker buildx inspect --bootstrap " + b.Name
			}
		}
		out = append(out, d)
	}
	return out
}

func (a *app) diagnoseClassic(ctx context.Context) diagnosis {
	d := diagnosis{Engine: "classic", Delivers: []string{}}
	cli, err := a.dockerCLI()
	if err == nil {
		var e *classic.Engine
		if e, err = classic.New(ctx, cli, build.Streams{}); err == nil {
			d.Ready, d.Detail, d.Delivers, d.History = true, e.Description(), serverDelivers, "none"
			return d
		}
	}
	d.Detail, d.Missing, d.Get = err.Error(), "Docker does not answer", "start Docker"
	return d
}

func (a *app) diagnoseTool(ctx context.Context, tool podman.Tool) diagnosis {
	h := podman.Check(ctx, tool, podman.Options{Environ: a.engineEnviron(nil)})
	d := diagnosis{Engine: string(h.Tool), Ready: h.Ready, Detail: h.Detail, Delivers: h.Delivers, Get: h.Get}
	if d.Ready {
		d.History = "none"
	}
	return d
}

func diagnoseEmbedded() diagnosis {
	d := diagnosis{Engine: "embedded", Delivers: []string{}}
	oci, err := embedded.Check()
	if err != nil {
		d.Detail = err.Error()
		d.Get = strings.Join(hints(err), "; ")
		return d
	}
	d.Ready, d.Detail, d.Delivers, d.History = true, "BuildKit in tightlip, with "+oci, buildkitDelivers, "none"
	return d
}

func (a *app) printDiagnoses(engines []diagnosis) {
	w := tabwriter.NewWriter(a.streams.Out, 0, 8, 2, ' ', 0)
	defer w.Flush()
	for _, d := range engines {
		state := "ready"
		if !d.Ready {
			state = "missing"
		}
		name := d.Engine
		if d.Name != "" {
			name += " " + d.Name
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, state, d.Detail)
		row := func(label, text string) {
			if text != "" {
				fmt.Fprintf(w, "\t%s\t%s\n", label, text)
			}
		}
		row("delivers", strings.Join(d.Delivers, ", "))
		row("history", d.History)
		row("lacks", d.Missing)
		row("to get it", d.Get)
	}
}
