package buildkit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/util/dockerutil/dockerconfig"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/sshforward"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/shimbin"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Brokers implements build.Brokers.
func (e *Engine) Brokers(*build.Request) error { return nil }

// withBases translates with the configs of base images at hand, as the builder sees them: a step is led through the broker together
// with its shell.
func (e *Engine) withBases(ctx context.Context, job *build.Job, o *translate.Options, translates func() error) error {
	for n := range e.working() {
		c, err := n.Driver.Client(ctx)
		if err != nil {
			return fmt.Errorf("connecting to the builder: %w", err)
		}
		auth := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: dockerconfig.LoadAuthConfig(e.cli)})
		var doErr error
		_, err = c.Build(ctx, client.SolveOpt{Session: []session.Attachable{auth}}, "tightlip", func(ctx context.Context, gw gateway.Client) (*gateway.Result, error) {
			o.Base = func(name, platform string) (translate.Base, error) { return baseOf(ctx, gw, job, name, platform), nil }
			doErr = translates()
			return gateway.NewResult(), nil
		}, nil)
		return errors.Join(doErr, err)
	}
	return errors.New("no node of the builder answers")
}

// baseOf is the config of an image. One that cannot be had is the builder's to report.
func baseOf(ctx context.Context, gw gateway.Client, job *build.Job, name, platform string) translate.Base {
	var p *ocispecs.Platform
	if platform == "" && len(job.Request.Platform) > 0 {
		platform, _, _ = strings.Cut(job.Request.Platform[0], ",")
	}
	if parsed, err := platforms.Parse(platform); err == nil && platform != "" {
		p = &parsed
	}
	from := contextOf(job.Request, name)
	other, isImage := strings.CutPrefix(from, "docker-image://")
	dir, isLayout := strings.CutPrefix(from, "oci-layout://")
	var text []byte
	var err error
	switch {
	case isLayout:
		text, err = layoutConfig(ctx, dir, p)
	case from == "" || isImage:
		_, _, text, err = gw.ResolveImageConfig(ctx, cmp.Or(other, name), sourceresolver.Opt{ImageOpt: &sourceresolver.ResolveImageOpt{Platform: p}})
	default: // files, which have no config
		return translate.Base{}
	}
	if err != nil {
		return translate.Base{}
	}
	// Docker's config has more than OCI's.
	var img struct {
		Config struct {
			User                string
			Shell, OnBuild, Env []string
		} `json:"config"`
	}
	if json.Unmarshal(text, &img) != nil {
		return translate.Base{}
	}
	return translate.Base{User: img.Config.User, Shell: img.Config.Shell, OnBuild: img.Config.OnBuild, Env: img.Config.Env}
}

// contextOf is the named context that stands for an image, and empty if none does.
func contextOf(r *build.Request, image string) string {
	same := func(name string) bool {
		a, errA := reference.ParseNormalizedNamed(name)
		b, errB := reference.ParseNormalizedNamed(image)
		return name == image || errA == nil && errB == nil && reference.TagNameOnly(a).String() == reference.TagNameOnly(b).String()
	}
	for _, c := range r.BuildContext {
		if name, value, ok := strings.Cut(c, "="); ok && same(name) {
			return value
		}
	}
	return ""
}

// layoutConfig is the config of an image in an OCI layout, PATH[:TAG][@DIGEST], for a platform, or the builder's own.
func layoutConfig(ctx context.Context, text string, p *ocispecs.Platform) ([]byte, error) {
	text, digest, _ := strings.Cut(text, "@")
	dir, tag := text, "latest"
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		dir, tag = text[:i], text[i+1:]
	}
	img, err := image.OpenLayout(ctx, dir, cmp.Or(digest, tag), image.Options{})
	if err != nil {
		return nil, err
	}
	defer img.Close()
	l, err := img.Layout(ctx)
	if err != nil {
		return nil, err
	}
	want := platforms.DefaultSpec()
	if p != nil {
		want = *p
	}
	i := slices.IndexFunc(l.Platforms, func(p image.Platform) bool { return p.OS == want.OS && p.Architecture == want.Architecture })
	if len(l.Platforms) == 1 {
		i = 0
	}
	if i < 0 {
		return nil, errors.New("no such platform")
	}
	for blob, err := range img.Blobs(ctx) {
		if err != nil {
			return nil, err
		}
		if blob.Digest == l.Platforms[i].Config {
			return readBlob(blob)
		}
	}
	return nil, errors.New("no such config")
}

func readBlob(b image.Blob) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// addSteps tells the broker of the steps that use it, and returns what they mount beside the user's secrets.
func (e *Engine) addSteps(job *build.Job, r *translate.Result) (map[string][]byte, error) {
	own := map[string][]byte{}
	for id, text := range r.Scripts {
		own[id] = []byte(text)
	}
	for _, s := range r.Steps {
		if !s.Wrapped {
			continue
		}
		if err := job.AddStep(s); err != nil {
			return nil, err
		}
		if own[translate.ShimID] != nil {
			continue
		}
		arch, err := e.architecture()
		if err != nil {
			return nil, err
		}
		if own[translate.ShimID], err = shimbin.For(arch); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// architecture is that of the builder's machine, on which all of its steps can run programs.
func (e *Engine) architecture() (string, error) {
	arch := ""
	for n := range e.working() {
		native := cmp.Or(nativeOf(n), platforms.DefaultSpec().Architecture)
		if arch != "" && arch != native {
			return "", &build.UsageError{
				Err: fmt.Errorf("the builder has machines of the architectures %s and %s, and the broker needs one that is the same for all", arch, native),
				Try: "a builder with one node: docker buildx use NAME",
			}
		}
		arch = native
	}
	return arch, nil
}

// nativeOf is the architecture that a node lists first.
func nativeOf(n builder.Node) string {
	if len(n.Platforms) == 0 {
		return ""
	}
	return n.Platforms[0].Architecture
}

// attachSSH answers requests for SSH agents, and for the broker.
func attachSSH(agents session.Attachable, broker *gate.Steps) session.Attachable {
	server, ok := agents.(sshforward.SSHServer)
	if broker == nil || !ok {
		return agents
	}
	return &sshServer{server, broker}
}

// agentServer gives steps the agents of a build.
type agentServer struct{ agents *sshagent.Agents }

// Register implements session.Attachable.
func (s agentServer) Register(server *grpc.Server) { sshforward.RegisterSSHServer(server, s) }

// CheckAgent implements sshforward.SSHServer.
func (s agentServer) CheckAgent(ctx context.Context, r *sshforward.CheckAgentRequest) (*sshforward.CheckAgentResponse, error) {
	agent, err := s.agents.Open(ctx, cmp.Or(r.ID, sshforward.DefaultID))
	if err != nil {
		return nil, fmt.Errorf("SSH agent %s: %w", r.ID, err)
	}
	return &sshforward.CheckAgentResponse{}, agent.Close()
}

// ForwardAgent implements sshforward.SSHServer.
func (s agentServer) ForwardAgent(stream sshforward.SSH_ForwardAgentServer) error {
	agent, err := s.agents.Open(stream.Context(), idOf(stream))
	if err != nil {
		return err
	}
	return sshforward.Copy(stream.Context(), agent, stream, nil)
}

// idOf is the id of a mount whose connection this is.
func idOf(stream sshforward.SSH_ForwardAgentServer) string {
	md, _ := metadata.FromIncomingContext(stream.Context())
	if v := md[sshforward.KeySSHID]; len(v) > 0 {
		return v[0]
	}
	return sshforward.DefaultID
}

type sshServer struct {
	sshforward.SSHServer
	broker *gate.Steps
}

// Register implements session.Attachable.
func (s *sshServer) Register(server *grpc.Server) { sshforward.RegisterSSHServer(server, s) }

// CheckAgent implements sshforward.SSHServer.
func (s *sshServer) CheckAgent(ctx context.Context, r *sshforward.CheckAgentRequest) (*sshforward.CheckAgentResponse, error) {
	if s.broker.Has(r.ID) {
		return &sshforward.CheckAgentResponse{}, nil
	}
	return s.SSHServer.CheckAgent(ctx, r)
}

// ForwardAgent implements sshforward.SSHServer: BuildKit carries any bytes, not only an agent's.
func (s *sshServer) ForwardAgent(stream sshforward.SSH_ForwardAgentServer) error {
	id := idOf(stream)
	if !s.broker.Has(id) {
		return s.SSHServer.ForwardAgent(stream)
	}
	conn := newStreamConn(stream)
	defer conn.Close()
	if err := s.broker.Serve(id, conn); err != nil {
		return err
	}
	select {
	case <-conn.closed:
		return nil
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}
