package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// cleanupTime bounds what is done after a build was interrupted.
const cleanupTime = 20 * time.Second

// CleanupContext is ctx for clean-up: it is not cancelled when ctx is, and ends by itself.
func CleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}

// Tools are what a build needs besides its request.
type Tools struct {
	Resolver *secret.Resolver
	// In is standard input.
	In io.Reader
	// Engine starts or finds the engine. It is called once the secrets are there.
	Engine func(ctx context.Context, r *Request) (Engine, error)
	// Cache remembers proofs and keys fingerprints.
	Cache *proof.Cache
	// StageDir is where builds keep what is not proven yet.
	StageDir string
	// StepsDir is where builds note which steps that had minted values were proven. What is there may be lost.
	StepsDir string
	// Progress is called while the proof goes on, with the bytes searched; may be nil.
	Progress func(bytes int64)
	// Done is called when the proof is over; may be nil.
	Done func()
	// Ended is called with what became of what was minted, if no Outcome tells of it; may be nil.
	Ended func([]secret.Ending)
	// Waiting is called when something begins that may take a while, and what it returns when that is over; may be nil.
	Waiting func(what string) (done func())
	// Audit is called for each request that goes through the broker, by several goroutines at once; may be nil.
	Audit func(gate.Event)
	// AgentAudit is called for what SSH agents with a policy are asked; may be nil.
	AgentAudit func(sshagent.Event)
	// Withheld is called with the names of the variables that a command does not get, before it starts, if there are any; may be nil.
	Withheld func(names []string)
	// Redacting is called with the redactor as soon as there are values to redact; may be nil.
	Redacting func(*redact.Redactor)
}

// Outcome is what came of a build.
type Outcome struct {
	Engine   string // its name, and what is behind it
	Image    Named
	Secrets  []SecretUse
	Proof    *proof.Proof // nil if the build did not get that far
	Findings []finding.Finding
	Named    bool     // the image has its names
	Unknown  []string // ids that the build asked for and the request has not
	// KeepsHistory says that the engine has a record of the build with its logs, as they were before redaction.
	KeepsHistory bool
	Built        bool            // the engine got as far as building
	Recorded     bool            // a secret was found in the engine's record, which is deleted, and nowhere else
	Printed      bool            // a secret was in the output of the build, where it was redacted
	Rehearsal    bool            // with phantoms in place of all secrets
	Leases       []secret.Ending // what became of those that are not for ever
	CacheOnly    bool            // the image is nowhere but in the engine's cache
	Left         bool            // a command left something behind that had its output open
	Withheld     []string        // variables that a command did not get since they look like credentials
}

// SubjectDigest is what a statement about the image names it by.
func (o *Outcome) SubjectDigest() string {
	if o.Image.Digest != "" {
		return o.Image.Digest
	}
	return o.Image.ID
}

// SecretUse tells what became of one secret.
type SecretUse struct {
	ID        string
	Ref       secret.Ref
	Requested bool // the engine asked for it
}

// Run builds what r asks for, proves that no secret is in it, and names it.
//
// A leak is ErrLeaked, a search that was not complete ErrUnproven; both come with the Outcome. A request that cannot be met
// is a *UsageError or a *secret.ResolveError, and a failed build a *FailedError.
func Run(ctx context.Context, r *Request, t Tools) (out *Outcome, err error) {
	if err := errors.Join(r.check(), r.checkArguments(t.Resolver)); err != nil {
		return nil, err
	}
	if r.Rehearse {
		if r, err = r.rehearsal(t.In); err != nil {
			return nil, err
		}
	}
	set, err := r.resolve(ctx, t.Resolver)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close(ctx, set, out == nil)) }()
	needles, err := needlesFor(r, set)
	if err != nil {
		return nil, err
	}
	if err := r.checkNames(needles); err != nil {
		return nil, err
	}
	if !r.Rehearse {
		if err := removeOutdated(r.IIDFile, r.MetadataFile, r.Proof); err != nil {
			return nil, err
		}
	}
	redactor := redact.New(needles)
	if t.Redacting != nil {
		t.Redacting(redactor)
	}
	job := Job{Request: r, Handoff: NewHandoff(set), Redact: redactor, AgentAudit: t.AgentAudit}
	set.OnMint(func(id string, v secret.Value) error {
		return errors.Join(onMint(r, redactor)(id, v), job.steps.mint(id))
	})
	set.OnParent(onParent(redactor))
	broker, err := openBroker(r, set, t.Audit)
	if err != nil {
		return nil, err
	}
	if broker != nil {
		defer func() { err = errors.Join(err, broker.Close()) }()
	}
	stage, clean, err := makeStage(t.StageDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	job.Broker, job.Stage = broker, stage
	if broker != nil {
		job.Handoff.standIn = broker.StandIn
	}
	defer func() { job.steps.close() }()
	dockerfile, err := prepare(&job, set, t)
	if err != nil {
		return nil, err
	}
	if job.Request, err = job.Request.withArguments(ctx, set, t.Resolver); err != nil {
		return nil, err
	}
	job.Handoff.forBuilder = forBuilder(&job, dockerfile)
	engine, err := t.Engine(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return run(ctx, t, job, engine, set, needles, dockerfile)
}

// end ends the leases of a set.
func (t Tools) end(ctx context.Context, set *secret.Set) []secret.Ending {
	if t.Waiting != nil {
		defer t.Waiting("revoking what was minted")()
	}
	return set.End(ctx)
}

// close ends and wipes what is in a set, and tells of it if nobody else does.
func (t Tools) close(ctx context.Context, set *secret.Set, tell bool) error {
	if endings := t.end(ctx, set); tell && t.Ended != nil {
		t.Ended(endings)
	}
	return set.Close(ctx)
}

// onMint has a value masked before anybody gets it.
func onMint(r *Request, redactor *redact.Redactor) func(id string, v secret.Value) error {
	return func(id string, v secret.Value) error {
		minted, err := newNeedles([]proof.Secret{{ID: id, Value: v, Waived: r.waived(id)}})
		if err == nil {
			redactor.Add(minted)
		}
		return err
	}
}

// run is a build with everything at hand.
func run(ctx context.Context, t Tools, job Job, engine Engine, set *secret.Set, needles *proof.Needles, d *source) (out *Outcome, err error) {
	out = &Outcome{Engine: engine.Name(), Rehearsal: job.Request.Rehearse}
	if err := canBroker(engine, job); err != nil {
		return nil, err
	}
	if h, ok := engine.(interface{ KeepsHistory(context.Context) bool }); ok {
		out.KeepsHistory = h.KeepsHistory(ctx)
	}
	result, err := engine.Build(ctx, job)
	out.uses(job)
	out.Leases = t.end(ctx, set) // before the proof: what leaked is dead when it is told
	if err != nil {
		err = job.Handoff.explain(err)
	}
	if job.Request.brokered() || job.Request.Rehearse || slices.ContainsFunc(set.IDs(), set.Minted) { // there is more to look for than before
		var nerr error
		if needles, nerr = newNeedles(withPhantoms(job.Request.spent(toProve(job.Request, set)), job.Request)); nerr != nil {
			return out, errors.Join(err, nerr)
		}
	}
	out.Printed = job.Redact.Masked()
	failed := (*FailedError)(nil)
	out.Built = err == nil || errors.As(err, &failed)
	if failed != nil && failed.Record != nil && job.Request.ProveHistory {
		return out, errors.Join(out.proveRecord(ctx, t, failed.Record, needles), err)
	}
	if err != nil {
		return out, err
	}
	defer func() {
		// After it was named, what is left is in the stage, which goes anyway.
		if derr := result.Discard(ctx); !out.Named {
			err = errors.Join(err, derr)
		}
	}()
	if job.Request.Prove != ProveOff {
		if err := out.prove(ctx, t, job, result, needles, d); err != nil {
			return out, err
		}
	}
	if err := errors.Join(out.refusal(job.Request), out.notSpent(job.Request)); err != nil {
		return out, err
	}
	if err := job.steps.check(); err != nil && job.Request.Prove == ProveStrict {
		return out, err
	}
	if out.Proof != nil && out.Proof.Verdict == proof.Clean {
		job.steps.proven()
	}
	if err := ctx.Err(); err != nil || job.Request.Rehearse {
		return out, err
	}
	out.Image, err = result.Name(ctx)
	out.Named, out.CacheOnly = err == nil, len(out.Image.Names) == 0
	return out, err
}

func (o *Outcome) uses(job Job) {
	o.Unknown = job.Handoff.Unknown()
	for _, s := range job.Request.Secrets {
		o.Secrets = append(o.Secrets, SecretUse{s.ID, s.Ref, job.Handoff.Requested(s.ID)})
	}
}

// prove searches everything that was built, and the engine's record of it if that is wanted.
func (o *Outcome) prove(ctx context.Context, t Tools, job Job, result Result, needles *proof.Needles, d *source) error {
	images, err := result.Images(ctx)
	if err != nil {
		return err
	}
	defer func() { closeAll(images) }()
	if t, ok := result.(Translated); ok {
		d = d.translated(t)
	}
	recorder, ok := result.(Recorder)
	if job.Request.ProveHistory && ok {
		record, err := recorder.Record(ctx)
		if err != nil {
			return fmt.Errorf("reading the engine's record of the build: %w", err)
		}
		if record != nil {
			images = append(images, record)
		}
	}
	for _, img := range images {
		if l, err := img.Layout(ctx); err == nil && o.Image.Digest == "" {
			o.Image.Digest = l.Digest
		}
	}
	if job.Request.Proof != "" && o.Image.Digest == "" {
		return usage("an output that is an image", "the proof is a statement about a digest, and what was built has none")
	}
	if t.Done != nil {
		defer t.Done()
	}
	o.Proof, err = proof.Prove(ctx, images, needles, proof.Options{
		Cache: t.Cache, Skip: job.Request.Skip, Progress: t.Progress, Origins: d.origins, Forget: job.Request.Forget,
	})
	if err != nil {
		return fmt.Errorf("proving: %w", err)
	}
	if len(images) == 0 && needles.Len() > 0 && !job.Request.calls() {
		return fmt.Errorf("proving: %w: the engine shows nothing of what it built", ErrUnproven)
	}
	o.Findings = o.Proof.Findings
	inRecord := func(f finding.Finding) bool { return f.Kind == finding.InRecord }
	if !slices.ContainsFunc(o.Findings, inRecord) {
		return nil
	}
	o.Recorded = !slices.ContainsFunc(o.Findings, func(f finding.Finding) bool { return !inRecord(f) })
	if err := recorder.Forget(ctx); err != nil {
		return errors.Join(ErrLeaked, err)
	}
	return nil
}

// proveRecord searches the engine's record of a build that failed, and has it deleted if a secret is in it.
func (o *Outcome) proveRecord(ctx context.Context, t Tools, r Recorder, needles *proof.Needles) error {
	record, err := r.Record(ctx)
	if err != nil {
		return fmt.Errorf("reading the engine's record of the build: %w", err)
	}
	if record == nil {
		return nil
	}
	defer record.Close()
	p, err := proof.Prove(ctx, []image.Image{record}, needles, proof.Options{Progress: t.Progress})
	switch {
	case err != nil:
		return fmt.Errorf("proving: %w", err)
	case p.Verdict == proof.Clean:
		return nil // of a build that failed, this is no proof of anything
	}
	o.Proof, o.Findings = p, p.Findings
	if p.Verdict == proof.Incomplete {
		return ErrUnproven
	}
	return errors.Join(ErrRecorded, r.Forget(ctx))
}

func closeAll(images []image.Image) {
	for _, img := range images {
		img.Close()
	}
}

// refusal is why the image gets no name, if it gets none.
func (o *Outcome) refusal(r *Request) error {
	isPhantom := func(f finding.Finding) bool { return f.Phantom && f.Secret != finding.Ticket }
	isTicket := func(f finding.Finding) bool { return f.Phantom && f.Secret == finding.Ticket }
	switch {
	case r.Prove != ProveStrict || o.Proof == nil:
		return nil
	case o.Proof.Verdict == proof.Clean && slices.ContainsFunc(o.Findings, isPhantom) && !r.AllowPhantom:
		return ErrPhantom
	case o.Proof.Verdict == proof.Clean && slices.ContainsFunc(o.Findings, isTicket) && !r.AllowPhantom:
		return ErrTicket
	case o.Proof.Verdict == proof.Clean:
		return nil
	case o.Proof.Verdict == proof.Leaked && o.Recorded:
		return ErrRecorded
	case o.Proof.Verdict == proof.Leaked:
		return ErrLeaked
	}
	return ErrUnproven
}

// resolve has the values of the secrets, or phantoms for a rehearsal.
func (r *Request) resolve(ctx context.Context, from *secret.Resolver) (*secret.Set, error) {
	if r.Rehearse {
		return phantoms(r.Secrets)
	}
	return from.ResolveAll(ctx, specs(r.Secrets))
}

// specs are the secrets as the resolver takes them.
func specs(secrets []Secret) []secret.Spec {
	var out []secret.Spec
	for _, s := range secrets {
		out = append(out, secret.Spec{ID: s.ID, Ref: s.Ref})
	}
	return out
}

// needlesFor makes needles of the values in set.
func needlesFor(r *Request, set *secret.Set) (*proof.Needles, error) {
	return newNeedles(toProve(r, set))
}

// toProve are the secrets with their values in set, none in a rehearsal.
func toProve(r *Request, set *secret.Set) []proof.Secret {
	var out []proof.Secret
	if r.Rehearse {
		return nil // the values are phantoms
	}
	for _, id := range set.IDs() {
		if _, ok := set.Get(id); !ok {
			out = append(out, proof.Secret{ID: id, Unminted: true})
		}
	}
	for id, lease := range set.All() {
		out = append(out, proof.Secret{ID: id, Value: lease.Value, Waived: r.waived(id)})
	}
	return append(out, parents(set, out)...)
}

// waived tells whether the value of a secret may be too short to be proven. Without a proof, it is only to be redacted.
func (r *Request) waived(id string) bool {
	return r.Prove == ProveOff || slices.ContainsFunc(r.Secrets, func(s Secret) bool { return s.ID == id && s.Waived })
}

func newNeedles(secrets []proof.Secret) (*proof.Needles, error) {
	needles, err := proof.NewNeedles(secrets)
	if short := (*proof.TooShortError)(nil); errors.As(err, &short) {
		return nil, usage("--prove-waive "+short.ID+" to build without a proof for it", "%w", short)
	}
	return needles, err
}

// makeStage makes a folder for one build, and removes those of builds that were killed.
func makeStage(parent string) (dir string, clean func() error, err error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("making a folder for the build: %w", err)
	}
	removeStale(parent)
	dir, err = os.MkdirTemp(parent, "build-*")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the build: %w", err)
	}
	unlock, err := lockfile.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { unlock(); return RemoveAll(dir) }, nil
}

const lockName = "lock"

// removeStale removes the folders whose builds no longer hold their lock, unless they say what else is to be removed: that is for Reap.
func removeStale(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, "build-*"))
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // perhaps not locked yet
		}
		if list, err := residues(dir); err != nil || len(list) > 0 {
			continue
		}
		if unlock, err := lockfile.Lock(filepath.Join(dir, lockName)); err == nil {
			_ = RemoveAll(dir)
			unlock()
		}
	}
}
