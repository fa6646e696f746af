package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	dockerclient "github.com/moby/moby/client"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	"github.com/tightlip/tightlip/internal/redact"
)

// pluginName is what Docker's command line calls us: docker tightlip.
const pluginName = "tightlip"

// dockerFlags are Docker's own, which it passes on to plugins.
type dockerFlags struct{ options *cliflags.ClientOptions }

// asPlugin handles what is special when Docker's command line runs the program as docker-tightlip: it asks for metadata,
// and it puts its own flags and the plugin's name before the plugin's arguments.
func (a *app) asPlugin(args []string) (rest []string, done bool, err error) {
	a.docker.options = cliflags.NewClientOptions()
	if len(args) == 1 && args[0] == metadata.MetadataSubcommandName {
		return nil, true, json.NewEncoder(a.streams.Out).Encode(metadata.Metadata{
			SchemaVersion:    "0.1.0",
			Vendor:           "tightlip",
			Version:          Version(),
			ShortDescription: "Build images with secrets, and prove that none is in them",
			URL:              "https://github.com/tightlip/tightlip",
		})
	}
	if filepath.Base(os.Args[0]) != "docker-"+pluginName {
		return args, false, nil
	}
	if len(args) > 1 && (args[0] == "__complete" || args[0] == "__completeNoDesc") && args[1] == pluginName {
		return slices.Delete(slices.Clone(args), 1, 2), false, nil
	}
	flags := pflag.NewFlagSet("docker", pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.SetOutput(io.Discard)
	a.docker.options.InstallFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, true, usageError(err, "docker "+pluginName+" --help")
	}
	a.docker.options.SetDefaultOptions(flags)
	rest = flags.Args()
	if len(rest) > 0 && rest[0] == pluginName {
		rest = rest[1:]
	}
	return rest, false, nil
}

// dockerCLI reads Docker's configuration, and connects to nothing yet.
func (a *app) dockerCLI() (command.Cli, error) {
	cli, err := command.NewDockerCli(command.WithInputStream(a.streams.In), command.WithOutputStream(a.streams.Out),
		command.WithErrorStream(a.streams.Err))
	if err != nil {
		return nil, fmt.Errorf("reading Docker's configuration: %w", err)
	}
	if err := cli.Initialize(a.docker.options); err != nil {
		return nil, fmt.Errorf("reading Docker's configuration: %w", err)
	}
	if !a.docker.options.Debug {
		logrus.SetLevel(logrus.ErrorLevel) // the libraries warn of what users can do nothing about
	}
	return cli, nil
}

// dockerClient is a client of the daemon that docker itself would talk to; nil if there is no telling.
func (a *app) dockerClient() *dockerclient.Client {
	cli, err := a.dockerCLI()
	if err != nil {
		return nil
	}
	c, _ := cli.Client().(*dockerclient.Client)
	return c
}

// redactLogs covers what the libraries of Docker and BuildKit log.
func redactLogs(r *redact.Redactor, w io.Writer) {
	logrus.SetOutput(r.Writer(w))
}
