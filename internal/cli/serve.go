package cli

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shimbin"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/build"
)

type serveOptions struct {
	secrets []string
	ssh     []string
	netns   string
	port    int
	builder string
	arch    string
	keep    []string
}

func (a *app) serveCommand() *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve [flags] [-- COMMAND…]",
		Short: "Hand secrets to the steps of a builder that something else drives",
		Long: `Run the server that the steps of a translated Dockerfile ("tightlip translate") get their secrets from. It listens on 127.0.0.1 of
a network namespace that the build's steps are in, and answers only those who have this run's ticket.

The ticket and the port are in the last element of ` + build.Variable + `, a predefined build argument, which is in no image. With a COMMAND,
the command gets that variable in its environment, and no credential of ours unless --keep-env names it; its output is redacted, and the
server ends with it; the exit code is the command's. Without one, the variable is printed, and the server runs until it is interrupted.`,
		Example: `  tightlip translate Dockerfile > Dockerfile.classic
  tightlip serve --secret id=npm,env=NPM_TOKEN -- \
      docker build --network host --build-arg ` + build.Variable + ` -f Dockerfile.classic .
  tightlip serve --secret id=npm,env=NPM_TOKEN --netns 4711`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runServe(cmd.Context(), o, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.secrets, "secret", nil, `secret to hand over ("id=npm,src=FILE", "id=npm,env=NAME", "id=npm,from=REFERENCE")`)
	flags.StringArrayVar(&o.ssh, "ssh", nil, "SSH agent or keys to hand over, as docker build has it")
	flags.StringVar(&o.netns, "netns", "", "the network namespace to listen in: a `PID` or a path (Linux, as root)")
	flags.IntVar(&o.port, "port", 0, "the `port` to listen on (default any)")
	flags.StringVar(&o.builder, "for", "any", "whom to print instructions for: kaniko, compose or any")
	flags.StringVar(&o.arch, "arch", runtime.GOARCH, "the `architecture` of the machine that the steps run on")
	addKeep(cmd, &o.keep)
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"kaniko", "compose", "any"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// instructions say how a builder's steps learn of the server.
var instructions = map[string]string{
	"any":     "give the build --build-arg " + build.Variable + " and the network that this server is in",
	"compose": "build: {network: host, args: [" + build.Variable + "]} in the compose file, and the variable in its environment",
	"kaniko":  "run the executor in this network namespace (the same pod), with --build-arg=" + build.Variable + " and the variable in its environment",
}

func (a *app) runServe(ctx context.Context, o *serveOptions, command []string) error {
	cfg, err := a.load(keptEnv(o.keep))
	if err != nil {
		return err
	}
	how, ok := instructions[o.builder]
	if !ok {
		return usageError(fmt.Errorf("no instructions for %q", o.builder), "--for kaniko, --for compose or --for any")
	}
	r := &build.ServeRequest{Command: command, Keep: cfg.KeepEnv, Port: o.port, Netns: netnsPath(o.netns), Audit: a.audit, Out: a.streams.Out, Err: a.streams.Err}
	if r.Secrets, err = secrets(cfg, o.secrets, nil, false); err != nil {
		return err
	}
	agents, err := sshagent.Parse(o.ssh)
	if err != nil {
		return usageError(err, "--ssh default or --ssh ID=PATH of an agent's socket or a key without a passphrase")
	}
	r.Agents = agents.Open
	if r.Shim, err = shimbin.For(o.arch); err != nil {
		return usageError(err, strings.Join(hints(err), "; "))
	}
	r.Ready = func(value string) {
		if len(command) > 0 {
			return
		}
		fmt.Fprintf(a.streams.Out, "%s=%s\n", build.Variable, value)
		fmt.Fprintf(a.streams.Err, "tightlip: serving; %s\n", how)
	}
	tools, err := a.tools(cfg, len(command) == 0)
	if err != nil {
		return err
	}
	tools.Withheld = a.showWithheld
	return build.Serve(ctx, r, tools)
}

// netnsPath is the namespace of a process, or the path as it is.
func netnsPath(text string) string {
	if _, err := strconv.Atoi(text); err == nil {
		return "/proc/" + text + "/ns/net"
	}
	return text
}

// audit shows one request to a server.
func (a *app) audit(e broker.Event) {
	if e.Kind == broker.Shim {
		return
	}
	text := fmt.Sprintf("tightlip: %s %s %q: %d\n", e.Time.Format(time.TimeOnly), e.Kind, e.ID, e.Status)
	fmt.Fprint(a.streams.Err, a.redact(text))
}
