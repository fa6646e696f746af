package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
)

// ProveRequest is a proof about an image that exists already.
type ProveRequest struct {
	Image   string
	Secrets []Secret
	Skip    []string // path patterns that the proof may leave unread
	Proof   string   // a file for the statement
	Forget  bool     // what is remembered of earlier leaks
}

// Prove proves that the secrets are not in an image. The outcome comes also with ErrLeaked and ErrUnproven.
func Prove(ctx context.Context, r *ProveRequest, open func(context.Context, string) (image.Image, error), t Tools) (out *Outcome, err error) {
	if len(r.Secrets) == 0 {
		return nil, usage("tightlip prove "+r.Image+" --secret id=NAME,from=REFERENCE", "there is no secret to look for")
	}
	set, err := t.Resolver.ResolveAll(ctx, specs(r.Secrets))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close(ctx)) }()
	if i := slices.IndexFunc(r.Secrets, func(s Secret) bool { return set.Minted(s.ID) }); i >= 0 {
		return nil, usage("tightlip scan finds tokens by their form", "secret %s is minted anew each time: what an earlier build had is not known", r.Secrets[i].ID)
	}
	needles, err := needlesFor(&Request{Secrets: r.Secrets, Prove: ProveStrict}, set)
	if err != nil {
		return nil, err
	}
	if err := removeOutdated(r.Proof); err != nil {
		return nil, err
	}
	if t.Redacting != nil {
		t.Redacting(redact.New(needles))
	}
	img, err := open(ctx, r.Image)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	if l, err := img.Layout(ctx); r.Proof != "" && err == nil && l.Digest == "" {
		return nil, usage("--format json", "the proof is a statement about a digest, and %s has none", r.Image)
	}
	out = &Outcome{}
	for _, s := range r.Secrets {
		out.Secrets = append(out.Secrets, SecretUse{ID: s.ID, Ref: s.Ref})
	}
	if t.Done != nil {
		defer t.Done()
	}
	out.Proof, err = proof.Prove(ctx, []image.Image{img}, needles, proof.Options{Cache: t.Cache, Skip: r.Skip, Progress: t.Progress, Forget: r.Forget})
	if err != nil {
		return nil, fmt.Errorf("proving %s: %w", r.Image, err)
	}
	out.Findings = out.Proof.Findings
	l, err := img.Layout(ctx)
	if err != nil {
		return nil, err
	}
	out.Image = Named{Digest: l.Digest, Names: append([]string{r.Image}, l.Names...)}
	if len(l.Platforms) > 0 {
		out.Image.ID = l.Platforms[0].Config
	}
	return out, out.refusal(&Request{Prove: ProveStrict})
}
