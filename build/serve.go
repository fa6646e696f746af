package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/internal/redact"
)

// ServeRequest asks for a server of secrets alone, for builders that somebody else drives.
type ServeRequest struct {
	Secrets []Secret
	Agents  broker.Agents // may be nil
	Shim    []byte        // for the builder's architecture
	// Netns is the path of the network namespace to listen in, such as /proc/PID/ns/net; empty is our own.
	Netns string
	Port  int // 0 is any
	// Command is run with Variable in its environment, and the server ends with it. Without one it ends with the context.
	Command []string
	Keep    []string // as of a CommandRequest
	Audit   func(broker.Event)
	// Ready is called with what the variable has to hold, once the server answers. It may be nil.
	Ready func(value string)
	Out   io.Writer // the command's standard output, redacted
	Err   io.Writer
}

// Variable is the predefined build argument whose last element tells steps where the server is.
const Variable = "NO_PROXY"

// Serve resolves secrets and hands them to steps until its command or its context ends. A command that fails is a *FailedError.
func Serve(ctx context.Context, r *ServeRequest, t Tools) (err error) {
	set, err := t.Resolver.ResolveAll(ctx, specs(r.Secrets))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close(ctx, set, true)) }()
	request := &Request{Secrets: r.Secrets, Prove: ProveOff}
	needles, err := needlesFor(request, set)
	if err != nil {
		return err
	}
	redactor := redact.New(needles)
	if t.Redacting != nil {
		t.Redacting(redactor)
	}
	set.OnMint(onMint(request, redactor))
	set.OnParent(onParent(redactor))
	s := broker.New(broker.Options{Secrets: NewHandoff(set), Agents: r.Agents, Shim: r.Shim, Audit: r.Audit})
	defer s.Close()
	ln, err := r.listen(ctx)
	if err != nil {
		return fmt.Errorf("listening for steps: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	value := Append(os.Getenv(Variable), s.Element(ln.Addr().(*net.TCPAddr).Port))
	if r.Ready != nil {
		r.Ready(value)
	}
	if len(r.Command) > 0 {
		env, withheld := request.environ(t.Resolver, r.Keep)
		t.tell(withheld)
		_, err := program{r.Command, append(env, Variable+"="+value), r.Out, r.Err}.do(ctx, redactor)
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Append adds the server's element to the user's own list, if there is one.
func Append(list, element string) string {
	if list == "" {
		return element
	}
	return list + "," + element
}

func (r *ServeRequest) listen(ctx context.Context) (net.Listener, error) {
	address := fmt.Sprintf("127.0.0.1:%d", r.Port)
	if r.Netns != "" {
		return broker.ListenIn(ctx, r.Netns, address)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return shim.RootOnly(l), nil
}
