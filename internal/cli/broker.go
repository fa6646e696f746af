package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

type brokerOptions struct {
	policy, listen, expose, ticket, caFile, envFile, audit, upstreamCA string
	routes, secrets                                                    []string
	seal                                                               bool
}

func (a *app) brokerCommand() *cobra.Command {
	o := &brokerOptions{}
	cmd := &cobra.Command{
		Use:   "broker --policy FILE [flags]",
		Short: "Let clients use credentials that they never see",
		Long: `Run a proxy on loopback that attaches credentials to requests, until it is interrupted. Clients get a proxy, a certificate to trust, and
phantoms: worthless stand-ins for the secrets. A request to an origin that the policy names gets the real credential on tightlip's side;
any other goes on untouched, or is refused with --seal. Routes only read, unless the policy says uploads: true. A response that holds a
credential is cut.

What clients need in their environment is printed, or written to --env-file once the proxy answers. It holds no credential, but the
ticket of this run: whoever has it can use the credentials as the policy allows. Files that the broker wrote are removed when it ends.

Clients that share no files with the broker get the same from the proxy's own address, as /broker.env and /bundle.pem, with the ticket
as the password. A ticket that is given with --ticket is never printed.

Exit codes: 0 interrupted, as it is meant to end; 2 the policy, a secret or an address is not usable.`,
		Example: `  tightlip broker --route npm=https://npm.corp.example:bearer --secret id=npm,env=NPM_TOKEN --env-file broker.env
  tightlip broker --policy policy.yaml --seal --audit audit.jsonl --ca-file bundle.pem --env-file broker.env
  set -a; . ./broker.env; npm ci
  tightlip broker --policy policy.yaml --listen 0.0.0.0:8080 --expose broker --ticket env:BROKER_TICKET --ca-file /tmp/bundle.pem`,
		Args:                  cobra.NoArgs,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return a.runBroker(cmd.Context(), o) },
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.policy, "policy", "", "`file` that says which credential goes where (docs/broker.md)")
	flags.StringArrayVar(&o.routes, "route", nil, `one more route, as "npm=https://npm.corp.example:bearer", "…:basic:USER" or "…:header:NAME"`)
	flags.StringArrayVar(&o.secrets, "secret", nil, `secret that a route uses ("id=npm,src=FILE", "id=npm,env=NAME", "id=npm,from=REFERENCE")`)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` of the proxy, on loopback unless --expose is given")
	flags.StringVar(&o.expose, "expose", "", "let other machines in, whose clients reach the broker as `host`: the ticket and what is fetched at reverse doors cross that network in the clear, and who has the ticket can use the credentials")
	flags.StringVar(&o.ticket, "ticket", "", "take the ticket from `reference` (file:PATH, env:NAME) instead of making one up: 26 random characters or more, new for each build")
	flags.StringVar(&o.caFile, "ca-file", "", "write the certificates that clients trust to `file` (default a temporary one)")
	flags.StringVar(&o.envFile, "env-file", "", "write the environment of clients to `file` instead of standard output")
	flags.StringVar(&o.audit, "audit", "", "append a line of JSON for each request to `file` (default text on standard error)")
	flags.BoolVar(&o.seal, "seal", false, "refuse requests to hosts that the policy does not name")
	flags.StringVar(&o.upstreamCA, "upstream-ca", "", "trust the certificates in `file` for upstreams, too")
	for _, name := range []string{"policy", "ca-file", "env-file", "audit", "upstream-ca"} {
		_ = cmd.MarkFlagFilename(name)
	}
	return cmd
}

func (a *app) runBroker(ctx context.Context, o *brokerOptions) (err error) {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return err
	}
	policy, err := o.readPolicy()
	if err != nil {
		return usageError(err, "")
	}
	specs, err := brokerSpecs(cfg, policy, o.secrets)
	if err != nil {
		return err
	}
	set, err := a.minting(cfg, true).ResolveAll(ctx, specs)
	if err != nil {
		return err
	}
	defer func() { a.showLeases(set.End(ctx)); err = errors.Join(err, set.Close(ctx)) }()
	options := gate.Options{Policy: policy, Host: o.expose}
	options.Secrets, options.Minted = build.Credentials(set)
	if options.Ticket, err = a.givenTicket(ctx, o); err != nil {
		return err
	}
	return a.serveBroker(ctx, o, options)
}

// givenTicket is empty if the broker has to make one up. One that others could not learn is of no use.
func (a *app) givenTicket(ctx context.Context, o *brokerOptions) (secret.Value, error) {
	if o.ticket == "" {
		if o.expose != "" && o.envFile == "" {
			return secret.Value{}, usageError(errors.New("with --expose, the ticket would be in the log"), "--ticket env:BROKER_TICKET, or --env-file FILE in a folder that clients share")
		}
		return secret.Value{}, nil
	}
	ref, err := secret.ParseRef(o.ticket)
	if err != nil {
		return secret.Value{}, err
	}
	lease, err := a.resolver(true).Resolve(ctx, ref)
	if err != nil {
		return secret.Value{}, err
	}
	return lease.Value, nil
}

// readPolicy joins the file, the flags for routes and --seal.
func (o *brokerOptions) readPolicy() (gate.Policy, error) {
	var policy gate.Policy
	if o.policy != "" {
		data, err := os.ReadFile(o.policy)
		if err != nil {
			return policy, err
		}
		if policy, err = gate.ParsePolicy(o.policy, data); err != nil {
			return policy, err
		}
	}
	for _, text := range o.routes {
		r, err := gate.ParseRoute(text)
		if err != nil {
			return policy, fmt.Errorf("--route: %w", err)
		}
		policy.Routes = append(policy.Routes, r)
	}
	if len(policy.Routes) == 0 {
		return policy, &gate.PolicyError{File: o.policy, Problem: "no route is given, so no credential would go anywhere", Try: "--route npm=https://npm.corp.example:bearer, or --policy FILE"}
	}
	if slices.ContainsFunc(policy.Routes, func(r gate.Route) bool { return r.Client != gate.Client{} }) {
		return policy, &gate.PolicyError{File: o.policy, Problem: "client is for the steps of a build, in tightlip.yaml", Try: "leave it out: clients of this broker use the proxy, or a door with the phantom"}
	}
	policy.Seal = policy.Seal || o.seal
	return policy, policy.Check()
}

// brokerSpecs are the secrets of the flags, and those that only the policy names.
func brokerSpecs(cfg *config.Config, policy gate.Policy, texts []string) ([]secret.Spec, error) {
	specs, err := secret.ParseSpecs(texts)
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		if !slices.Contains(policy.IDs(), spec.ID) {
			return nil, usageError(fmt.Errorf("--secret: no route uses the secret %s", spec.ID), "--route "+spec.ID+"=https://npm.corp.example:bearer")
		}
	}
	for _, id := range policy.IDs() {
		if !slices.ContainsFunc(specs, func(s secret.Spec) bool { return s.ID == id }) {
			specs = append(specs, secret.Spec{ID: id})
		}
	}
	for i := range specs {
		if specs[i], err = cfg.Complete(specs[i], os.LookupEnv); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

// serveBroker runs the doors until the context ends.
func (a *app) serveBroker(ctx context.Context, o *brokerOptions, options gate.Options) (err error) {
	if o.upstreamCA != "" {
		extra, err := os.ReadFile(o.upstreamCA)
		if err != nil {
			return usageError(err, "--upstream-ca FILE, in PEM")
		}
		if options.Roots, err = gate.RootsWith(extra); err != nil {
			return usageError(fmt.Errorf("--upstream-ca: %w", err), "--upstream-ca FILE, in PEM")
		}
	}
	log, closeLog, err := a.brokerAudit(o.audit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	options.Audit = log
	g, err := gate.New(options)
	if err != nil {
		return usageError(err, "")
	}
	defer g.Close()
	a.setRedactor(g.Redactor())
	listeners, err := brokerListeners(ctx, o, options.Policy)
	if err != nil {
		return err
	}
	served := make(chan error, len(listeners))
	for i, l := range listeners {
		if i == 0 {
			go func() { served <- g.ServeForward(l.Listener) }()
		} else {
			go func() { served <- g.ServeReverse(l.Listener, l.origin) }()
		}
	}
	remove, err := a.announce(o, g, listeners)
	defer remove()
	if err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// doorListener is where a door is. The first of several is the proxy's.
type doorListener struct {
	net.Listener
	origin gate.Origin
}

// doorHost is where the reverse doors listen. Without --expose it is loopback: whoever reaches a door can try tickets.
func (o *brokerOptions) doorHost() (string, error) {
	host, _, err := net.SplitHostPort(o.listen)
	switch ip := net.ParseIP(host); {
	case err != nil || ip == nil:
		return "", usageError(errors.New("--listen is no address and port"), "--listen 127.0.0.1:8080")
	case o.expose != "":
		return host, nil
	case !ip.IsLoopback():
		return "", usageError(errors.New("--listen is no address on loopback"), "--listen 127.0.0.1:8080, or --expose HOST to let other machines in")
	}
	return "127.0.0.1", nil
}

// brokerListeners listens at the doors first: for the proxy, the system may choose any port that is free by then.
func brokerListeners(ctx context.Context, o *brokerOptions, p gate.Policy) ([]doorListener, error) {
	host, err := o.doorHost()
	if err != nil {
		return nil, err
	}
	addresses := map[string]gate.Origin{}
	var order []string
	for _, r := range p.Routes {
		if at := net.JoinHostPort(host, strconv.Itoa(r.Listen)); r.Listen != 0 && addresses[at] != r.Origin {
			addresses[at] = r.Origin
			order = append(order, at)
		}
	}
	var out []doorListener
	for _, at := range append(order, o.listen) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
		if err != nil {
			for _, l := range out {
				l.Close()
			}
			return nil, usageError(err, "--listen 127.0.0.1:0 takes any port that is free")
		}
		out = append(out, doorListener{l, addresses[at]})
	}
	return slices.Concat(out[len(order):], out[:len(order)]), nil
}

// announce writes what clients need. What it returns removes the files; it is never nil.
func (a *app) announce(o *brokerOptions, g *gate.Gate, listeners []doorListener) (remove func(), err error) {
	var files []string
	remove = func() {
		for _, name := range slices.Backward(files) {
			os.Remove(name)
		}
	}
	bundle := o.caFile
	if bundle == "" {
		dir, err := os.MkdirTemp("", "tightlip-broker-")
		if err != nil {
			return remove, err
		}
		files, bundle = append(files, dir), filepath.Join(dir, "bundle.pem")
	}
	if bundle, err = filepath.Abs(bundle); err != nil {
		return remove, err
	}
	system, err := gate.SystemBundle()
	if err != nil {
		return remove, err
	}
	certificates := slices.Concat(bytes.TrimRight(system, "\n"), []byte("\n"), g.CA())
	if err := writeNew(bundle, certificates, 0o644); err != nil {
		return remove, err
	}
	files = append(files, bundle)
	noProxy := os.Getenv("NO_PROXY")
	if noProxy == "" {
		noProxy = os.Getenv("no_proxy")
	}
	address := g.Address(listeners[0].Addr())
	env := strings.Join(g.Environ(address, bundle, noProxy), "\n") + "\n"
	g.Hand("/bundle.pem", certificates)
	g.Hand("/broker.env", []byte(env))
	for _, l := range listeners[1:] {
		fmt.Fprintf(a.streams.Err, "tightlip: %s is at http://%s, for who shows a phantom or the ticket\n", l.origin, g.Address(l.Addr()))
	}
	fmt.Fprintf(a.streams.Err, "tightlip: the broker is at %s\n", address)
	if o.envFile == "" {
		if o.ticket == "" {
			fmt.Fprint(a.streams.Out, env)
		}
		return remove, nil
	}
	if err = writeNew(o.envFile, []byte(env), 0o600); err == nil {
		files = append(files, o.envFile)
	}
	return remove, err
}

// writeNew puts a file in its place with all that is in it. Whoever waits for the file never sees a part.
func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tightlip-*")
	if err != nil {
		return usageError(err, "a folder that exists and can be written to")
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	return errors.Join(err, f.Chmod(mode), f.Close(), os.Rename(f.Name(), path))
}

// brokerAudit is where events go, and what ends that.
func (a *app) brokerAudit(path string) (log func(gate.Event), end func() error, err error) {
	if path == "" {
		return a.showEvent, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usageError(err, "--audit FILE, in a folder that exists")
	}
	l := gate.AuditTo(f)
	return l.Write, func() error { return errors.Join(l.Err(), f.Close()) }, nil
}

// showEvent is one line of text for people.
func (a *app) showEvent(e gate.Event) {
	text := fmt.Sprintf("tightlip: %s %s\n", e.Time.Format("15:04:05"), eventText(e))
	fmt.Fprint(a.streams.Err, a.redact(text))
}

// eventText quotes what a client chose.
func eventText(e gate.Event) string {
	text := fmt.Sprintf("%s %s %s%s: %d", e.Verdict, quoted(e.Method), e.Origin, quoted(e.Path), e.Status)
	if e.Secret != "" {
		text += " with " + e.Secret
	}
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

// quoted is text as it is if that can be printed, and in quotes else.
func quoted(text string) string {
	if text == "" || secret.Printable(text) {
		return text
	}
	return fmt.Sprintf("%q", text)
}
