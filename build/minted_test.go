package build_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
)

// issuer mints. It is here to see what Run does when; real issuers have tests of their own.
type issuer struct {
	steps       string // notes of proven steps
	t           *testing.T
	grade       secret.Grade
	deaf        bool          // a value works on after it was revoked
	life        time.Duration // 0: ten minutes
	down        bool
	unrevocable bool
	parent      string // by which it mints; empty: none
	values      []string
	mu          sync.Mutex // leases end at the same time
	alive       map[string]bool
}

func (*issuer) Scheme() string         { return "issuer" }
func (*issuer) Check(secret.Ref) error { return nil }

func (i *issuer) About() secret.About {
	about := secret.MintAbout{Grade: i.grade, Revoke: "yes", Takes: "narrow"}
	if i.unrevocable {
		about.Revoke = ""
	}
	return secret.About{Mint: &about, Variables: []string{"ISSUER_TOKEN"}}
}

// Grade implements secret.Graded.
func (i *issuer) Grade(ref secret.Ref) secret.Grade {
	if ref.Rest == "wide" {
		return secret.GradeB
	}
	return i.grade
}

func (i *issuer) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return i.Mint(ctx, ref, "")
}

func (i *issuer) Mint(ctx context.Context, _ secret.Ref, _ string) (*secret.Lease, error) {
	secret.Uses(ctx, "key=file:ca", secret.NewValue([]byte(i.parent)))
	if i.down {
		return nil, errors.New("the issuer is down")
	}
	value := string(secrettest.Canary(i.t))
	i.values = append(i.values, value)
	i.alive[value] = true
	life := cmp.Or(i.life, 10*time.Minute)
	time.AfterFunc(life, func() { i.mu.Lock(); defer i.mu.Unlock(); i.alive[value] = i.deaf })
	return &secret.Lease{
		Expires: time.Now().Add(life),
		Value:   secret.NewValue([]byte(value)), ID: fmt.Sprintf("lease %d", len(i.values)),
		Revoke: func(context.Context) error { i.mu.Lock(); defer i.mu.Unlock(); i.alive[value] = i.deaf; return nil },
		Alive:  func(context.Context) (bool, error) { i.mu.Lock(); defer i.mu.Unlock(); return i.alive[value], nil },
	}, nil
}

func (i *issuer) Reap(context.Context, secret.Ref, secret.Minted) error { return nil }

// mintedRun runs a build with one minted secret.
func mintedRun(t *testing.T, i *issuer, e *folderEngine, change func(*build.Request)) (*build.Outcome, error) {
	t.Helper()
	i.t, i.alive = t, map[string]bool{}
	if i.grade == "" {
		i.grade = secret.GradeA
	}
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e.dir = t.TempDir()
	r := &build.Request{Context: t.TempDir(), Prove: build.ProveStrict, Secrets: []build.Secret{{ID: "npm", Ref: secret.Ref{Scheme: "issuer", Rest: "x"}}}}
	if change != nil {
		change(r)
	}
	if i.steps == "" {
		i.steps = t.TempDir()
	}
	return build.Run(t.Context(), r, build.Tools{
		Resolver: secret.NewResolver(i, env.Source{}), Cache: cache, StageDir: t.TempDir(), StepsDir: i.steps,
		Engine: func(context.Context, *build.Request) (build.Engine, error) { return e, nil },
	})
}

// mount is what an engine does for a step with the secret.
func mount(t *testing.T, job build.Job) string {
	t.Helper()
	v, err := job.Handoff.Get(t.Context(), "npm")
	if err != nil {
		t.Error(err)
	}
	return string(v.Open())
}

func TestCachedBuildMintsNothing(t *testing.T) {
	i, e := &issuer{}, &folderEngine{files: clean}
	out, err := mintedRun(t, i, e, nil)
	if err != nil || len(i.values) > 0 || len(out.Leases) > 0 || !out.Named {
		t.Errorf("got %+v, %v, and %d minted", out, err, len(i.values))
	}
	if !slices.Equal(out.Proof.Unminted, []string{"npm"}) || len(out.Proof.Secrets) > 0 {
		t.Errorf("the proof is about %+v", out.Proof)
	}
}

func TestMintedIsDeadBeforeTheNameAndMasked(t *testing.T) {
	i := &issuer{}
	shown := ""
	e := &folderEngine{files: func(job build.Job) map[string]string {
		value := mount(t, job)
		if mount(t, job) != value {
			t.Error("two steps get two credentials")
		}
		shown = job.Redact.String("token " + value)
		return clean(job)
	}}
	out, err := mintedRun(t, i, e, nil)
	if err != nil || len(i.values) != 1 || shown != "token ***" {
		t.Fatalf("got %v, %d minted, shown %q", err, len(i.values), shown)
	}
	if len(out.Leases) != 1 || out.Leases[0].Fate != secret.Dead || out.Leases[0].ID != "npm" || !slices.Equal(out.Proof.Secrets, []string{"npm"}) {
		t.Errorf("got %+v", out)
	}
}

func TestMintedLeaks(t *testing.T) {
	i := &issuer{}
	e := &folderEngine{files: func(job build.Job) map[string]string { return map[string]string{"config": mount(t, job)} }}
	out, err := mintedRun(t, i, e, nil)
	if !errors.Is(err, build.ErrLeaked) || out.Named || len(out.Findings) == 0 || out.Leases[0].Fate != secret.Dead {
		t.Errorf("got %+v, %v", out, err)
	}
}

// What it is minted with is worth more than what is minted.
func TestParentLeaks(t *testing.T) {
	i := &issuer{parent: string(secrettest.Canary(t))}
	shown := ""
	e := &folderEngine{files: func(job build.Job) map[string]string {
		mount(t, job)
		shown = job.Redact.String("the password is " + i.parent)
		return map[string]string{"ca": i.parent}
	}}
	out, err := mintedRun(t, i, e, nil)
	if !errors.Is(err, build.ErrLeaked) || out.Named || len(out.Findings) != 1 || out.Findings[0].Secret != "npm's key=file:ca" {
		t.Errorf("got %+v, %v", out, err)
	}
	if shown != "the password is ***" {
		t.Error("it is shown")
	}
	if !slices.Equal(out.Proof.Secrets, []string{"npm", "npm's key=file:ca"}) {
		t.Errorf("the proof is about %q", out.Proof.Secrets)
	}
	// That holds for a build argument as well: only what is minted is dead.
	i.values = nil
	if out, err = mintedRun(t, i, e, argument); !errors.Is(err, build.ErrLeaked) || out.Named {
		t.Errorf("of a build argument: %+v, %v", out, err)
	}
	// A secret of the build has its own name.
	t.Setenv("CA", i.parent+"\n")
	out, err = mintedRun(t, i, e, func(r *build.Request) {
		r.Secrets = append(r.Secrets, build.Secret{ID: "ca", Ref: secret.Ref{Scheme: "env", Rest: "CA"}})
	})
	if !errors.Is(err, build.ErrLeaked) || len(out.Findings) != 1 || out.Findings[0].Secret != "ca" {
		t.Errorf("of a parent that is a secret of the build: %+v, %v", out, err)
	}
}

func TestShortParent(t *testing.T) {
	i := &issuer{parent: "1234567"}
	shown := ""
	e := &folderEngine{files: func(job build.Job) map[string]string {
		mount(t, job)
		shown = job.Redact.String("the code is " + i.parent)
		return map[string]string{"ca": i.parent}
	}}
	out, err := mintedRun(t, i, e, nil)
	if err != nil || !out.Named || shown != "the code is ***" || !slices.Equal(out.Proof.Waived, []string{"npm's key=file:ca"}) || !slices.Equal(out.Proof.Secrets, []string{"npm"}) {
		t.Errorf("got %+v, %v, shown %q", out.Proof, err, shown)
	}
}

func TestMintFails(t *testing.T) {
	e := &folderEngine{}
	e.files = func(job build.Job) map[string]string {
		_, err := job.Handoff.Get(t.Context(), "npm")
		if err == nil || errors.Is(err, secret.ErrNotFound) {
			t.Errorf("got %v: an optional mount would be left out", err)
		}
		e.err = errors.New("the step failed")
		return nil
	}
	out, err := mintedRun(t, &issuer{down: true}, e, nil)
	if err == nil || !strings.Contains(err.Error(), "the issuer is down") || out.Named {
		t.Errorf("got %v", err)
	}
}

func argument(r *build.Request) { r.Secrets[0].Argument = "NPM_TOKEN" }

func TestArgument(t *testing.T) {
	leak := func(job build.Job) map[string]string {
		i := slices.IndexFunc(job.Request.BuildArg, func(a string) bool { return strings.HasPrefix(a, "NPM_TOKEN=canary-") })
		if i < 0 {
			t.Fatalf("the arguments are %d, without the secret's", len(job.Request.BuildArg))
		}
		return map[string]string{"history": job.Request.BuildArg[i]}
	}
	i, e := &issuer{}, &folderEngine{files: leak}
	out, err := mintedRun(t, i, e, argument)
	if err != nil || !out.Named || !slices.Equal(out.Proof.Spent, []string{"npm"}) || out.Leases[0].Fate != secret.Dead {
		t.Errorf("got %+v, %v", out, err)
	}
	if calls(e) != "build prove name discard close" {
		t.Errorf("got the order %s", calls(e))
	}
	i, e = &issuer{deaf: true}, &folderEngine{files: leak}
	out, err = mintedRun(t, i, e, argument)
	if !errors.Is(err, build.ErrNotSpent) || out.Named || !strings.Contains(err.Error(), "revoked, still answers") {
		t.Errorf("of an issuer that goes on to answer: %v", err)
	}
}

// TestArgumentExpired has a step that takes longer than the credential lives. Our clock alone does not give the image a name.
func TestArgumentExpired(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		e := &folderEngine{files: func(job build.Job) map[string]string { time.Sleep(20 * time.Millisecond); return clean(job) }}
		out, err := mintedRun(t, &issuer{life: 10 * time.Millisecond, deaf: deaf}, e, argument)
		if out.Named == deaf || errors.Is(err, build.ErrNotSpent) != deaf || out.Leases[0].Fate == secret.Expired == deaf {
			t.Errorf("still accepted: %t: got %v, %v", deaf, out.Leases, err)
		}
	}
}

// Another secret that leaks is a leak, whatever may be there besides.
func TestArgumentWaivesOnlyItself(t *testing.T) {
	i := &issuer{}
	e := &folderEngine{files: func(job build.Job) map[string]string {
		v, err := job.Handoff.Get(t.Context(), "other")
		if err != nil {
			t.Error(err)
		}
		return map[string]string{"config": string(v.Open()), "history": strings.Join(job.Request.BuildArg, " ")}
	}}
	out, err := mintedRun(t, i, e, func(r *build.Request) {
		argument(r)
		r.Secrets = append(r.Secrets, build.Secret{ID: "other", Ref: secret.Ref{Scheme: "issuer", Rest: "y"}})
	})
	if !errors.Is(err, build.ErrLeaked) || out.Named || out.Findings[0].Secret != "other" {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestArgumentRefused(t *testing.T) {
	e := &folderEngine{files: clean}
	_, err := mintedRun(t, &issuer{grade: secret.GradeB}, e, argument)
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), "of the grade B cannot be a build argument: that takes grade A") {
		t.Errorf("of grade B: %v", err)
	}
	_, err = mintedRun(t, &issuer{unrevocable: true}, e, argument)
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), "what issuer: makes lives until it expires, since nobody can revoke it") {
		t.Errorf("of what cannot be revoked: %v", err)
	}
	long := &issuer{life: 24 * time.Hour}
	_, err = mintedRun(t, long, e, argument)
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), "it lives for more than an hour") {
		t.Errorf("of what lives for a day: %v", err)
	}
	for _, alive := range long.alive {
		if alive {
			t.Error("what was refused is still alive")
		}
	}
	_, err = mintedRun(t, &issuer{}, e, func(r *build.Request) { argument(r); r.Secrets[0].Ref.Rest = "wide" })
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) ||
		!strings.Contains(err.Error(), "of the grade B cannot be a build argument: that takes grade A, with a life of an hour or less and narrow") {
		t.Errorf("of a reference that asks for all there is: %v", err)
	}
	setCanary(t)
	_, err = run(t, e, argument)
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), "is not minted for this build") {
		t.Errorf("of a secret that stays alive: %v", err)
	}
	if len(e.calls) > 0 {
		t.Errorf("it went as far as %s", calls(e))
	}
}

func TestRunCommand(t *testing.T) {
	t.Setenv("ISSUER_TOKEN", "a parent")
	i := &issuer{t: t, alive: map[string]bool{}, parent: string(secrettest.Canary(t))}
	t.Setenv("PARENT", i.parent)
	var out, errs strings.Builder
	r := &build.CommandRequest{
		Secrets: []build.CommandSecret{
			{Secret: build.Secret{ID: "a", Ref: secret.Ref{Scheme: "issuer", Rest: "x"}}, Variable: "A"},
			{Secret: build.Secret{ID: "b", Ref: secret.Ref{Scheme: "issuer", Rest: "x"}}, Variable: "B", AsFile: true},
		},
		Command: []string{"sh", "-c", `echo "$A"; cat "$B"; stat -c %a "$B" "$(dirname $B)"; echo "[$ISSUER_TOKEN]$PARENT"; echo "$A" >&2; echo "$B" > ` + t.TempDir() + "/path"},
		Out:     &out, Err: &errs,
	}
	var redactor *redact.Redactor
	got, err := build.RunCommand(t.Context(), r, nil, build.Tools{Resolver: secret.NewResolver(i), Redacting: func(r *redact.Redactor) { redactor = r }})
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != "***\n***600\n700\n[]***\n" || errs.String() != "***\n" {
		t.Errorf("it printed %q and %q", strings.ReplaceAll(out.String(), i.values[0], "VALUE"), strings.ReplaceAll(errs.String(), i.values[0], "VALUE"))
	}
	if len(got.Leases) != 2 || got.Leases[0].Fate != secret.Dead || redactor.String(i.values[1]) != "***" {
		t.Errorf("got %+v", got.Leases)
	}
	r.Command = []string{"sh", "-c", "exit 7"}
	failed := (*build.FailedError)(nil)
	if _, err := build.RunCommand(t.Context(), r, nil, build.Tools{Resolver: secret.NewResolver(i)}); !errors.As(err, &failed) || failed.Code != 7 {
		t.Errorf("got %v", err)
	}
	for _, alive := range i.alive {
		if alive {
			t.Error("a credential outlives its command")
		}
	}
}

func TestRunCommandSearchesTheContext(t *testing.T) {
	dir := t.TempDir()
	parent := string(secrettest.Canary(t))
	t.Setenv("PARENT", parent)
	for command, want := range map[string]error{`echo "$A" > "$0/.npmrc"`: build.ErrInContext, `echo "$PARENT" > "$0/.npmrc"`: build.ErrInContext, `echo clean > "$0/.npmrc"`: nil} {
		i := &issuer{t: t, alive: map[string]bool{}, parent: parent}
		r := &build.CommandRequest{
			Secrets: []build.CommandSecret{{Secret: build.Secret{ID: "a", Ref: secret.Ref{Scheme: "issuer", Rest: "x"}}, Variable: "A"}},
			Command: []string{"sh", "-c", command, dir}, Context: dir, Out: io.Discard, Err: io.Discard,
		}
		open := func(_ context.Context, name string) (image.Image, error) {
			return image.OpenContext(strings.TrimPrefix(name, "context:"), image.Options{})
		}
		if _, err := build.RunCommand(t.Context(), r, open, build.Tools{Resolver: secret.NewResolver(i)}); !errors.Is(err, want) {
			t.Errorf("%s: got %v", command, err)
		}
	}
}
