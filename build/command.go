package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// CommandRequest is a command that uses secrets outside of a build: it fetches what the build then copies.
type CommandRequest struct {
	Secrets []CommandSecret
	Command []string
	// Context is a build context that the command writes to: it is searched for the secrets when the command has ended. Empty: none.
	Context  string
	Skip     []string // path patterns that the search may leave unread
	Keep     []string // variables that the command gets although they look like credentials: names, or beginnings of names with a *
	Out, Err io.Writer
}

// CommandSecret is a secret with the variable that brings it to a command.
type CommandSecret struct {
	Secret
	Variable string
	AsFile   bool // the variable holds the path of a file that holds the value
}

// RunCommand runs a command with secrets in its environment, and masks them in what it prints. A command that fails is a *FailedError; a
// secret in the context is ErrInContext. The outcome is nil if it did not come to the command.
func RunCommand(ctx context.Context, r *CommandRequest, open func(context.Context, string) (image.Image, error), t Tools) (out *Outcome, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	set, err := t.Resolver.ResolveAll(ctx, specs(r.plain()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close(ctx, set, out == nil)) }()
	request := &Request{Secrets: r.plain(), Prove: ProveStrict}
	if r.Context == "" {
		request.Prove = ProveOff
	}
	env, withheld := request.environ(t.Resolver, r.Keep)
	env, files, err := r.environ(ctx, set, env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.remove()) }()
	needles, err := needlesFor(request, set)
	if err != nil {
		return nil, err
	}
	redactor := redact.New(needles)
	if t.Redacting != nil {
		t.Redacting(redactor)
	}
	out = &Outcome{Withheld: withheld}
	for _, s := range r.Secrets {
		out.Secrets = append(out.Secrets, SecretUse{s.ID, s.Ref, true})
		out.Withheld = slices.DeleteFunc(out.Withheld, func(name string) bool { return name == s.Variable }) // it gets another value
	}
	t.tell(out.Withheld)
	out.Left, err = program{r.Command, env, r.Out, r.Err}.do(ctx, redactor)
	out.Leases = t.end(ctx, set)
	unstarted := (*UsageError)(nil)
	if r.Context == "" || ctx.Err() != nil || errors.As(err, &unstarted) {
		return out, err
	}
	return out, errors.Join(err, out.searchContext(ctx, r, open, needles, t))
}

func (r *CommandRequest) check() error {
	if len(r.Command) == 0 {
		return usage("-- COMMAND ARGUMENT…", "there is no command")
	}
	if r.Context != "" && !isFolder(r.Context) {
		return usage("--context with the folder that is built from", "the context %s is no folder", r.Context)
	}
	if err := proof.CheckSkip(r.Skip); err != nil {
		return usage("--prove-skip takes the patterns of a shell, without **", "%w", err)
	}
	seen := map[string]bool{}
	for _, s := range r.Secrets {
		switch {
		case s.Variable == "" || strings.ContainsAny(s.Variable, "=\x00"):
			return usage("--secret id="+s.ID+",from=REFERENCE,env=VARIABLE", "secret %s has no variable that brings it to the command", s.ID)
		case seen[s.Variable]:
			return usage("give each secret a variable of its own", "the variable %s is given twice", s.Variable)
		case s.Ref.Scheme == secret.SchemeStdin:
			return usage("pass the secret through a file descriptor: from=fd:3 3<FILE", "secret %s is to come from standard input, which is the command's", s.ID)
		}
		seen[s.Variable] = true
	}
	return nil
}

func (r *CommandRequest) plain() []Secret {
	var out []Secret
	for _, s := range r.Secrets {
		out = append(out, s.Secret)
	}
	return out
}

// environ adds the secrets to an environment: this is when they are minted.
func (r *CommandRequest) environ(ctx context.Context, set *secret.Set, env []string) ([]string, *secretFiles, error) {
	files := &secretFiles{}
	for _, s := range r.Secrets {
		text, err := r.bring(ctx, set, s, files)
		if err != nil {
			return nil, nil, errors.Join(err, files.remove())
		}
		env = append(env, s.Variable+"="+text)
	}
	return env, files, nil
}

// bring is what a secret's variable holds.
func (r *CommandRequest) bring(ctx context.Context, set *secret.Set, s CommandSecret, files *secretFiles) (string, error) {
	lease, err := set.Lease(ctx, s.ID)
	if err != nil {
		return "", err
	}
	if s.AsFile {
		return files.add(lease.Value)
	}
	text := string(lease.Value.Open())
	if strings.Contains(text, "\x00") {
		return "", usage("--secret id="+s.ID+",…,file="+s.Variable, "secret %s has a zero byte, which no variable can hold", s.ID)
	}
	return strings.TrimSuffix(text, "\n"), nil
}

// searchContext searches a build context for the secrets.
func (o *Outcome) searchContext(ctx context.Context, r *CommandRequest, open func(context.Context, string) (image.Image, error), n *proof.Needles, t Tools) error {
	img, err := open(ctx, "context:"+r.Context)
	if err != nil {
		return err
	}
	defer img.Close()
	if t.Done != nil {
		defer t.Done()
	}
	o.Proof, err = proof.Prove(ctx, []image.Image{img}, n, proof.Options{Skip: r.Skip, Progress: t.Progress})
	if err != nil {
		return fmt.Errorf("searching %s: %w", r.Context, err)
	}
	o.Findings = o.Proof.Findings
	switch o.Proof.Verdict {
	case proof.Clean:
		return nil
	case proof.Leaked:
		return ErrInContext
	}
	return ErrContextUnread
}
