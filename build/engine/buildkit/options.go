package buildkit

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/util/buildflags"
	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/dockerutil/dockerconfig"
	"github.com/docker/buildx/util/platformutil"
	"github.com/docker/cli/cli/command"
	dockeropts "github.com/docker/cli/opts"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
)

// options translates a job, and what its steps mount of our own by id, into buildx's terms, as buildx's own build command does. The outputs are left out.
func options(cli command.Cli, job build.Job, own map[string][]byte, stdin io.Reader) (bx.Options, error) {
	r := job.Request
	o := bx.Options{
		Inputs: bx.Inputs{
			ContextPath:    r.Context,
			DockerfilePath: r.File,
			InStream:       bx.NewSyncMultiReader(stdin),
			NamedContexts:  map[string]bx.NamedContext{},
		},
		CgroupParent:  r.CgroupParent,
		ExtraHosts:    r.AddHost,
		NetworkMode:   r.Network,
		NoCache:       r.NoCache,
		NoCacheFilter: r.NoCacheFilter,
		Pull:          r.Pull,
		ShmSize:       dockeropts.MemBytes(r.ShmSize),
		Target:        r.Target,
	}
	p := parsed{}
	o.BuildArgs = p.buildArgs(r.BuildArg)
	o.Labels = p.pairs(r.Label, func(string) (string, bool) { return "", true })
	o.Platforms = parse(&p, platformutil.Parse, r.Platform)
	o.Annotations = parse(&p, buildflags.ParseAnnotations, r.Annotation)
	o.ResourceLimits = parse(&p, bx.ParseResourceLimits, r.Resource)
	o.Policy = parse(&p, buildflags.ParsePolicyConfigs, r.Policy)
	o.CacheFrom = bx.CreateCaches(parse(&p, buildflags.ParseCacheEntry, r.CacheFrom))
	o.CacheTo = bx.CreateCaches(parse(&p, buildflags.ParseCacheEntry, r.CacheTo))
	o.Ulimits = p.ulimits(r.Ulimit)
	o.Attests = p.attests(r)
	for name, path := range parse(&p, buildflags.ParseContextNames, r.BuildContext) {
		o.Inputs.NamedContexts[name] = bx.NamedContext{Path: path}
	}
	for name, path := range job.Contexts {
		o.Inputs.NamedContexts[name] = bx.NamedContext{Path: path}
	}
	o.Allow, _ = parseTwo(&p, buildflags.ParseEntitlements, r.Allow)
	call, err := buildflags.ParseCallFunc(r.Call)
	p.note(err)
	if call != nil {
		o.CallFunc = &bx.CallFunc{Name: call.Name, Format: call.Format, IgnoreStatus: call.IgnoreStatus}
	}
	o.ProvenanceResponseMode = confutil.MetadataProvenanceModeDisabled
	if r.MetadataFile != "" && call == nil {
		o.ProvenanceResponseMode = confutil.ParseMetadataProvenance(string(confutil.MetadataProvenance()))
	}
	o.SourcePolicy, err = bx.ReadSourcePolicy()
	p.note(err)
	p.note(p.attach(&o, cli, job, own))
	p.note(replaceDockerfile(&o, job))
	return o, p.err
}

// parsed collects the first error of many parsers.
type parsed struct{ err error }

func (p *parsed) note(err error) {
	if err != nil && p.err == nil {
		p.err = &build.UsageError{Err: err}
	}
}

func parse[T any](p *parsed, f func([]string) (T, error), in []string) T {
	out, err := f(in)
	p.note(err)
	return out
}

func parseTwo[A, B any](p *parsed, f func([]string) (A, B, error), in []string) (A, B) {
	a, b, err := f(in)
	p.note(err)
	return a, b
}

// pairs splits NAME=VALUE; a NAME alone has the value that lookup finds, and is dropped if it finds none.
func (p *parsed) pairs(in []string, lookup func(string) (string, bool)) map[string]string {
	out := map[string]string{}
	for _, s := range in {
		k, v, ok := strings.Cut(s, "=")
		if k == "" {
			p.note(fmt.Errorf("%q is not NAME=VALUE", s))
			continue
		}
		if !ok {
			if v, ok = lookup(k); !ok {
				continue
			}
		}
		out[k] = v
	}
	return out
}

func (p *parsed) buildArgs(in []string) map[string]string {
	args := p.pairs(in, os.LookupEnv)
	const epoch = "SOURCE_DATE_EPOCH"
	if v := os.Getenv(epoch); v != "" && args[epoch] == "" {
		args[epoch] = v
	}
	return args
}

func (p *parsed) ulimits(in []string) *dockeropts.UlimitOpt {
	u := dockeropts.NewUlimitOpt(nil)
	for _, s := range in {
		p.note(u.Set(s))
	}
	return u
}

func (p *parsed) attests(r *build.Request) map[string]*string {
	in := r.Attest[:len(r.Attest):len(r.Attest)]
	if r.Provenance != "" {
		in = append(in, buildflags.CanonicalizeAttest("provenance", r.Provenance))
	}
	if r.SBOM != "" {
		in = append(in, buildflags.CanonicalizeAttest("sbom", r.SBOM))
	}
	attests, err := buildflags.ParseAttests(in)
	p.note(err)
	return attests.ToMap()
}

// attach adds what BuildKit may ask us for during the build: registry credentials, secrets, and SSH agents.
func (p *parsed) attach(o *bx.Options, cli command.Cli, job build.Job, own map[string][]byte) error {
	specs, err := buildflags.ParseSSHSpecs(job.Request.SSH)
	if err != nil {
		return err
	}
	if len(specs) == 0 && buildflags.IsGitSSH(job.Request.Context) {
		specs = []*buildflags.SSH{{ID: "default"}}
	}
	ssh, err := createSSH(specs, job)
	if err != nil {
		return err
	}
	auth := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: dockerconfig.LoadAuthConfig(cli),
	})
	o.Session = append(o.Session, auth, attachSecrets(job.Handoff, own), attachSSH(ssh, job.Broker))
	return nil
}

// createSSH makes buildx's agents, or ours if they have policies to keep.
func createSSH(specs []*buildflags.SSH, job build.Job) (session.Attachable, error) {
	if !job.Request.HasSSHPolicy() {
		return bx.CreateSSH(specs)
	}
	agents, err := job.Agents()
	if err != nil {
		return nil, err
	}
	return agentServer{agents}, nil
}

// replaceDockerfile puts the job's Dockerfile, if it has one, where buildx will look for it. An ignore file that
// belongs to the original one comes along.
func replaceDockerfile(o *bx.Options, job build.Job) error {
	if job.Dockerfile == nil {
		return nil
	}
	if job.Request.File == "-" {
		o.Inputs.InStream = bx.NewSyncMultiReader(bytes.NewReader(job.Dockerfile))
		return nil
	}
	name := filepath.Join(job.Stage, "Dockerfile")
	if err := os.WriteFile(name, job.Dockerfile, 0o600); err != nil {
		return err
	}
	ignore, err := os.ReadFile(job.DockerfilePath + ".dockerignore")
	if err == nil {
		err = os.WriteFile(name+".dockerignore", ignore, 0o600)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	o.Inputs.DockerfilePath = name
	return nil
}

// exports are what the engine itself writes before the proof.
func exports(outputs []output.Output, stage string, annotations map[string]string) []client.ExportEntry {
	var list []client.ExportEntry
	for i, o := range outputs {
		attrs := maps.Clone(o.Attrs)
		if attrs == nil {
			attrs = map[string]string{}
		}
		maps.Copy(attrs, annotations)
		at := output.StagedAt(outputs, i, stage)
		switch {
		case o.Stored():
			list = append(list, client.ExportEntry{Type: client.ExporterImage, Attrs: attrs})
		case o.Place == output.Folder:
			list = append(list, client.ExportEntry{Type: client.ExporterLocal, Attrs: attrs, OutputDir: at})
		case o.Place == output.Tarball:
			list = append(list, client.ExportEntry{Type: client.ExporterTar, Attrs: attrs, Output: lazyFile(at)})
		case output.LayoutOf(outputs, i) == i:
			attrs["tar"] = "false"
			list = append(list, client.ExportEntry{Type: client.ExporterOCI, Attrs: attrs, OutputDir: at})
		}
	}
	return list
}

// lazyFile makes a file when the exporter begins to write.
func lazyFile(name string) func(map[string]string) (io.WriteCloser, error) {
	return func(map[string]string) (io.WriteCloser, error) {
		return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	}
}
