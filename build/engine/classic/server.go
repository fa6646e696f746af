package classic

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shimbin"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
)

const (
	// label marks what is ours in the daemon.
	label = "io.github.tightlip"
	// port is where the server listens in a network namespace of its own.
	port = 7913
	// patience is how long the server's container may take to begin.
	patience = 30 * time.Second
)

// server is a build's server: it runs here, and is reached through a container whose network the build's steps join.
type server struct {
	api       *dockerclient.Client
	job       build.Job
	broker    *broker.Server
	image     string
	container string
	network   string // for the build
	element   string
	conn      io.Closer
}

// startServer starts the server. If it ends before it is closed, it cancels the build.
func (e *Engine) startServer(ctx context.Context, job build.Job, files map[string]string, g *admission, cancel context.CancelCauseFunc) (_ *server, err error) {
	binary, err := shimbin.For(e.daemon.arch)
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: hint(err)}
	}
	agents, err := job.Agents()
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: "--ssh default or --ssh ID=PATH of an agent's socket or a key without a passphrase"}
	}
	s := &server{api: e.api, job: job, broker: broker.New(broker.Options{
		Secrets: job.Handoff, Agents: agents.Open, Shim: binary, Files: files, Through: through(job), Allow: g.allow, Audit: e.audit(job),
	})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	whole, done := build.CleanupContext(ctx) // an image whose import is interrupted would have no ID to remove it by
	defer done()
	s.image, err = importShim(whole, e.api, binary)
	if err == nil {
		err = job.Note(e.residue(build.DockerImage, s.image))
	}
	if err != nil {
		return nil, fmt.Errorf("starting the build's server: %w", err)
	}
	network := job.Request.Network
	if network == "" {
		network = "default"
	}
	// Steps that share a network with others find that network as it is; the ticket keeps the others out.
	shared := network == "host" || strings.HasPrefix(network, "container:")
	name := containerName()
	if err := job.Note(e.residue(build.DockerContainer, name)); err != nil {
		return nil, err
	}
	ln, at, err := s.startRelay(ctx, name, network, shared, job.Request.AddHost)
	if err != nil {
		return nil, fmt.Errorf("starting the build's server: %w", err)
	}
	s.network, s.element = "container:"+s.container, s.broker.Element(at)
	go func() {
		if err := s.broker.Serve(ln); !errors.Is(err, net.ErrClosed) {
			cancel(&build.FailedError{Code: 1, Text: fmt.Sprintf("the build's server ended during the build: %v", err)})
		}
	}()
	return s, nil
}

func containerName() string { return "tightlip-" + strings.ToLower(rand.Text()[:12]) }

// audit shows each request to the server.
func (e *Engine) audit(job build.Job) func(broker.Event) {
	return func(ev broker.Event) {
		if ev.Kind != broker.Shim && ev.Kind != broker.Through && !job.Request.Quiet {
			fmt.Fprint(e.streams.Err, job.Redact.String(fmt.Sprintf("tightlip: a step asked for %s %q: %d\n", ev.Kind, ev.ID, ev.Status)))
		}
	}
}

// importShim makes an image of nothing but the shim.
func importShim(ctx context.Context, api *dockerclient.Client, binary []byte) (id string, err error) {
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	err = tw.WriteHeader(&tar.Header{Name: "tightlip", Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(binary))})
	if err == nil {
		_, err = tw.Write(binary)
	}
	if err := errors.Join(err, tw.Close()); err != nil {
		return "", err
	}
	source := dockerclient.ImageImportSource{Source: &layer, SourceName: "-"}
	resp, err := api.ImageImport(ctx, source, "", dockerclient.ImageImportOptions{Changes: []string{"LABEL " + label + "=server"}})
	if err != nil {
		return "", err
	}
	defer resp.Close()
	err = sink.Follow(resp, func(m jsonstream.Message) {
		if strings.HasPrefix(m.Status, "sha256:") {
			id = m.Status
		}
	})
	if err == nil && id == "" {
		err = errors.New("the daemon did not say what it imported")
	}
	return id, err
}

// startRelay starts the container and returns what listens in it.
func (s *server) startRelay(ctx context.Context, name, network string, shared bool, hosts []string) (net.Listener, int, error) {
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	config := &container.HostConfig{
		NetworkMode:    container.NetworkMode(network),
		AutoRemove:     true,
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		LogConfig:      container.LogConfig{Type: "none"}, // what passes through it is written nowhere
		ExtraHosts:     hosts,
	}
	if shared {
		listen, config.ExtraHosts = "127.0.0.1:0", nil
	}
	whole, cancel := build.CleanupContext(ctx) // what is interrupted in its making could not be removed
	defer cancel()
	c, err := s.api.ContainerCreate(whole, dockerclient.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: s.image, Entrypoint: []string{"/tightlip"}, Cmd: []string{"relay", "--listen", listen}, User: "65534:65534",
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
			Labels: map[string]string{label: "server"},
		},
		HostConfig: config,
	})
	if err != nil {
		return nil, 0, err
	}
	s.container = c.ID
	attached, err := s.api.ContainerAttach(ctx, c.ID, dockerclient.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, 0, err
	}
	rw := demux(attached.Conn, attached.Reader)
	s.conn = rw
	if _, err := s.api.ContainerStart(ctx, c.ID, dockerclient.ContainerStartOptions{}); err != nil {
		return nil, 0, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	relay, err := broker.Attach(ctx, rw)
	if err != nil {
		return nil, 0, err
	}
	return relay, relay.Port(), nil
}

// stdio is the standard input and output of a container.
type stdio struct {
	net.Conn
	out *io.PipeReader
}

// demux takes standard output out of the stream in which the daemon mixes it with standard error.
func demux(conn net.Conn, r io.Reader) *stdio {
	pr, pw := io.Pipe()
	go func() {
		var complaint bytes.Buffer
		_, err := stdcopy.StdCopy(pw, &complaint, r)
		if text := strings.TrimSpace(complaint.String()); err == nil && text != "" {
			err = errors.New(text)
		}
		pw.CloseWithError(err)
	}()
	return &stdio{Conn: conn, out: pr}
}

func (s *stdio) Read(p []byte) (int, error) { return s.out.Read(p) }

func (s *stdio) Close() error { return errors.Join(s.Conn.Close(), s.out.Close()) }

// join has a build's steps share the network of the server, and tells them where it is.
func (s *server) join(o *dockerclient.ImageBuildOptions) {
	o.NetworkMode = s.network
	o.ExtraHosts = nil
	value := s.element
	if own := o.BuildArgs[build.Variable]; own != nil {
		value = build.Append(*own, value)
	}
	o.BuildArgs[build.Variable] = &value
}

// close ends the server and removes its container and image. What cannot be removed is left to tightlip reap.
func (s *server) close(ctx context.Context) error {
	ctx, cancel := build.CleanupContext(ctx)
	defer cancel()
	s.broker.Close()
	if s.conn != nil {
		s.conn.Close()
	}
	if err := s.remove(ctx); err != nil {
		return errors.Join(fmt.Errorf("removing the build's server, which tightlip reap does later: %w", err), s.job.Keep())
	}
	return nil
}

func (s *server) remove(ctx context.Context) error {
	if s.container != "" {
		if err := removeContainer(ctx, s.api, s.container); err != nil {
			return err
		}
		if err := s.awaitGone(ctx); err != nil {
			return err
		}
	}
	if s.image == "" {
		return nil
	}
	return ignoreGone(sink.Remove(ctx, s.api, s.image))
}

// awaitGone waits until the container is gone: the daemon may be removing it by itself.
func (s *server) awaitGone(ctx context.Context) error {
	for {
		_, err := s.api.ContainerInspect(ctx, s.container, dockerclient.ContainerInspectOptions{})
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ignoreGone drops the errors of removing what is already removed, or being so.
func ignoreGone(err error) error {
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil
	}
	return err
}
