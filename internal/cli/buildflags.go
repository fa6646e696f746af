package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/pflag"
	"github.com/tightlip/tightlip/build"
)

// dockerBuildFlags are docker build's flags, with its names, short names and meanings: those of buildx 0.38.
func dockerBuildFlags(flags *pflag.FlagSet, o *buildOptions) {
	r := &o.request
	flags.StringSliceVar(&r.AddHost, "add-host", nil, `add a custom host-to-IP mapping ("host:ip")`)
	flags.StringArrayVar(&r.Allow, "allow", nil, `allow extra privileged entitlement (such as "network.host", "security.insecure")`)
	flags.StringArrayVar(&r.Annotation, "annotation", nil, "add annotation to the image")
	flags.StringArrayVar(&r.Attest, "attest", nil, `attestation parameters ("type=sbom,generator=image")`)
	flags.StringArrayVar(&r.BuildArg, "build-arg", nil, "set build-time variables: not for secrets, they end up in the history")
	flags.StringArrayVar(&r.BuildContext, "build-context", nil, "additional build contexts (name=path)")
	flags.StringVar(&r.Builder, "builder", "", "override the configured builder instance")
	flags.StringArrayVar(&r.CacheFrom, "cache-from", nil, `external cache sources ("user/app:cache", "type=local,src=path/to/dir")`)
	flags.StringArrayVar(&r.CacheTo, "cache-to", nil, `cache export destinations ("user/app:cache", "type=local,dest=path/to/dir")`)
	flags.StringVar(&r.CgroupParent, "cgroup-parent", "", "set the parent cgroup for the RUN instructions during build")
	flags.StringVarP(&r.File, "file", "f", "", "name of the Dockerfile (default PATH/Dockerfile)")
	flags.StringVar(&r.IIDFile, "iidfile", "", "write the image ID to a file")
	flags.StringArrayVar(&r.Label, "label", nil, "set metadata for an image")
	flags.BoolVar(&r.Load, "load", false, "shorthand for --output=type=docker")
	flags.StringVar(&r.MetadataFile, "metadata-file", "", "write build result metadata to a file")
	flags.StringVar(&r.Network, "network", "default", "set the networking mode for the RUN instructions during build")
	flags.BoolVar(&r.NoCache, "no-cache", false, "do not use cache when building the image")
	flags.StringArrayVar(&r.NoCacheFilter, "no-cache-filter", nil, "do not cache specified stages")
	flags.StringArrayVarP(&r.Output, "output", "o", nil, `output destination ("type=local,dest=path")`)
	flags.StringArrayVar(&r.Platform, "platform", nil, "set target platform for build")
	flags.StringArrayVar(&r.Policy, "policy", nil, `policy configuration ("filename=path[,filename=path][,reset=true|false][,disabled=true|false]")`)
	flags.StringVar(&r.Progress, "progress", "auto", "type of progress output: auto, none, plain, quiet, rawjson, tty")
	flags.StringVar(&r.Provenance, "provenance", "", "shorthand for --attest=type=provenance")
	flags.BoolVar(&r.Pull, "pull", false, "always attempt to pull all referenced images")
	flags.BoolVar(&r.Push, "push", false, "shorthand for --output=type=registry")
	flags.BoolVarP(&r.Quiet, "quiet", "q", false, "suppress the build output and print image ID on success")
	flags.StringArrayVar(&r.Resource, "resource", nil, `resource limits for build containers ("memory=2g", "cpu-quota=50000")`)
	flags.StringVar(&r.SBOM, "sbom", "", "shorthand for --attest=type=sbom")
	flags.StringArrayVar(&o.secrets, "secret", nil, `secret to expose to the build ("id=npm,src=FILE", "id=npm,env=NAME", "id=npm,from=REFERENCE")`)
	flags.Var(&o.shmSize, "shm-size", "shared memory size for build containers")
	flags.StringArrayVar(&r.SSH, "ssh", nil, `SSH agent socket or keys to expose to the build ("default|id[=socket|key[,key]]")`)
	flags.StringArrayVarP(&r.Tag, "tag", "t", nil, `image identifier ("[registry/]repository[:tag]")`)
	flags.StringVar(&r.Target, "target", "", "set the target build stage to build")
	flags.StringArrayVar(&r.Ulimit, "ulimit", nil, "ulimit options")
	flags.StringVar(&r.Call, "call", "build", "set method for evaluating build: check, outline, targets")
	flags.Var(callAlias{&r.Call}, "check", "shorthand for --call=check")
	flags.Lookup("check").NoOptDefVal = "true"
	flags.StringVar(&r.Call, "print", "build", "")
	hide(flags, "print")
	legacyFlags(flags, o)
}

// dockerEnvironment fills in what docker's own variables say and no flag does.
func dockerEnvironment(r *build.Request) {
	if r.Builder == "" {
		r.Builder = os.Getenv("BUILDX_BUILDER")
	}
	if v := os.Getenv("DOCKER_DEFAULT_PLATFORM"); v != "" && len(r.Platform) == 0 {
		r.Platform = []string{v}
	}
}

// legacyFlags are hidden ones: older names of --resource, and those that BuildKit has no use for.
func legacyFlags(flags *pflag.FlagSet, o *buildOptions) {
	for name, short := range map[string]string{
		"memory": "m", "memory-swap": "", "cpu-shares": "c", "cpu-period": "", "cpu-quota": "", "cpuset-cpus": "", "cpuset-mems": "",
	} {
		flags.VarP(resource{name, &o.request.Resource}, name, short, "")
		hide(flags, name)
	}
	for name := range ignored {
		switch ignored[name].kind {
		case "bool":
			flags.Bool(name, name == "rm", "")
		case "string":
			flags.String(name, "", "")
		default:
			flags.StringSlice(name, nil, "")
		}
		hide(flags, name)
	}
}

func hide(flags *pflag.FlagSet, name string) { flags.Lookup(name).Hidden = true }

// ignored are flags that mean nothing to BuildKit, with what to tell who gives them.
var ignored = map[string]struct {
	kind    string
	warning string
}{
	"compress":     {"bool", ""},
	"isolation":    {"string", "isolation flag is deprecated with BuildKit."},
	"security-opt": {"list", `security-opt flag is deprecated. "RUN --security=insecure" should be used with BuildKit.`},
	"squash":       {"bool", "experimental flag squash is removed with BuildKit. You should squash inside build using a multi-stage Dockerfile for efficiency."},
	"rm":           {"bool", ""},
	"force-rm":     {"bool", ""},
}

func warnIgnored(flags *pflag.FlagSet, w io.Writer) {
	for name, i := range ignored {
		if f := flags.Lookup(name); f.Changed && i.warning != "" {
			fmt.Fprintf(w, "tightlip: warning: %s\n", i.warning)
		}
	}
}

// callAlias is --check.
type callAlias struct{ call *string }

func (callAlias) String() string   { return "" }
func (callAlias) Type() string     { return "bool" }
func (callAlias) IsBoolFlag() bool { return true }
func (c callAlias) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if on {
		*c.call = "check"
	}
	return err
}

// resource is one of the older flags for what --resource says now.
type resource struct {
	key  string
	list *[]string
}

func (resource) String() string { return "" }
func (resource) Type() string   { return "string" }
func (r resource) Set(s string) error {
	*r.list = append(*r.list, r.key+"="+s)
	return nil
}
