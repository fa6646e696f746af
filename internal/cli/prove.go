package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"
	"github.com/therootcompany/xz"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/podman"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/proof"
)

// proveOptions are what the prove command's flags say.
type proveOptions struct {
	request build.ProveRequest
	secrets []string
	waived  []string
	format  string
}

// imageForms are the ways to name an image.
const imageForms = "docker:NAME, podman:NAME, registry:REFERENCE, oci:FOLDER, tar:FILE, dir:FOLDER, context:FOLDER or container:NAME"

func (a *app) proveCommand() *cobra.Command {
	o := &proveOptions{}
	cmd := &cobra.Command{
		Use:   "prove [flags] IMAGE",
		Short: "Prove that no secret is in an image that exists",
		Long: `Search every byte of an image for secrets, in every encoding: layers with deleted files, config, history, manifests,
attestations, and what is compressed or archived in any of them.

An image is docker:NAME, podman:NAME, registry:REFERENCE, oci:FOLDER, tar:FILE (a docker or OCI archive, or a root file system),
dir:FOLDER, context:FOLDER (a build context, with its .dockerignore) or container:NAME. Without a scheme it is an existing path, else the
Docker daemon's image of that name, else podman's, else the registry's.

Exit codes: 0 proven; 3 a secret is in the image; 2 not everything could be searched.`,
		Example: `  tightlip prove app --secret id=npm,env=NPM_TOKEN
  tightlip prove registry:registry.corp.example/app:1 --secret id=key,src=deploy_key
  docker save app | gzip > app.tar.gz; tightlip prove tar:app.tar.gz --secret id=npm,from=file:.env#NPM_TOKEN`,
		Args: exactArgs(1, "an image: "+imageForms),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.request.Image = args[0]
			return a.runProve(cmd.Context(), o)
		},
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.secrets, "secret", nil, `secret to look for ("id=npm,src=FILE", "id=npm,env=NAME", "id=npm,from=REFERENCE")`)
	flags.StringArrayVar(&o.waived, "prove-waive", nil, "`id` of a secret that may be too short to be proven")
	flags.StringArrayVar(&o.request.Skip, "prove-skip", nil, "`pattern` of files in layers that may stay unread, such as usr/share/*/testdata/*")
	flags.BoolVar(&o.request.Forget, "prove-forget", false, forgetUsage)
	flags.StringVar(&o.request.Proof, "proof", "", "write the proof as an in-toto statement to `file`")
	flags.StringVar(&o.format, "format", "text", "text, or json for one object on standard output")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) runProve(ctx context.Context, o *proveOptions) error {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return err
	}
	if err := checkFormat(o.format); err != nil {
		return err
	}
	if err := proof.CheckSkip(o.request.Skip); err != nil {
		return usageError(err, "--prove-skip takes the patterns of a shell, without **")
	}
	if o.request.Secrets, err = secrets(cfg, o.secrets, o.waived, false); err != nil {
		return err
	}
	tools, err := a.tools(cfg, true)
	if err != nil {
		return err
	}
	open := func(ctx context.Context, name string) (image.Image, error) {
		return a.openImageAs(ctx, name, image.Options{Environ: func() []string { return a.engineEnviron(o.request.Secrets) }})
	}
	out, err := build.Prove(ctx, &o.request, open, tools)
	if out == nil {
		return err
	}
	if o.request.Proof != "" {
		if werr := a.writeStatement(o.request.Proof, out, nil); werr != nil {
			return errors.Join(err, werr)
		}
	}
	rep := asReport(out, err, a.redact)
	if o.format == "json" {
		return errors.Join(err, rep.JSON(a.streams.Out))
	}
	rep.Text(a.streams.Out, "")
	return err
}

// maxXZ bounds the dictionary in bytes of an archive that is compressed with xz: twice the largest of its presets.
const maxXZ = 128 << 20

func unxz(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxXZ) }

// openImage opens an image.
func (a *app) openImage(ctx context.Context, name string) (image.Image, error) {
	return a.openImageAs(ctx, name, image.Options{})
}

// openImageAs opens an image, with what the command line adds to the options.
func (a *app) openImageAs(ctx context.Context, name string, o image.Options) (image.Image, error) {
	ref, err := image.ParseRef(name)
	if err != nil {
		return nil, usageError(err, imageForms)
	}
	o.XZ, o.Keychain = unxz, logins()
	if o.Environ == nil {
		o.Environ = func() []string { return a.engineEnviron(nil) }
	}
	switch ref.Scheme {
	case image.Auto, image.Docker, image.Container:
		o.Docker = a.dockerClient()
	}
	img, err := image.Open(ctx, ref, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return img, nil
}

// logins are the credentials of docker login, and those of podman login for registries that Docker has none for.
func logins() authn.Keychain {
	return authn.NewMultiKeychain(authn.DefaultKeychain, podman.Keychain())
}
