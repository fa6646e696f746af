package build

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// Brokers is implemented by engines whose steps can use secrets through the broker.
type Brokers interface {
	// Brokers is an error that says what to use instead, if this engine cannot do it.
	Brokers(r *Request) error
}

// brokered tells whether steps use any secret without having it.
func (r *Request) brokered() bool {
	return slices.ContainsFunc(r.Secrets, func(s Secret) bool { return len(s.Broker) > 0 })
}

// Sealed tells whether steps with a secret have no network but the broker.
func (r *Request) Sealed(id string) bool {
	return slices.ContainsFunc(r.Secrets, func(s Secret) bool { return s.ID == id && s.Seal })
}

// policy joins what the request says of each secret.
func (r *Request) policy() gate.Policy {
	p := gate.Policy{Pass: r.BrokerPass}
	for _, s := range r.Secrets {
		p.Routes = append(p.Routes, s.Broker...)
	}
	return p
}

// openBroker makes the broker of a build, which is nil if no secret needs one.
func openBroker(r *Request, set *secret.Set, audit func(gate.Event)) (*gate.Steps, error) {
	if !r.brokered() || r.Rehearse {
		return nil, nil
	}
	o := gate.Options{Policy: r.policy(), Audit: audit}
	o.Secrets, o.Minted = Credentials(set)
	steps, err := gate.NewSteps(o)
	if err != nil {
		return nil, &UsageError{Err: fmt.Errorf("broker: %w", err)}
	}
	return steps, nil
}

// Credentials are the secrets of a set as a gate takes them.
func Credentials(set *secret.Set) (values map[string]secret.Value, minted map[string]gate.Mint) {
	values, minted = map[string]secret.Value{}, map[string]gate.Mint{}
	for _, id := range set.IDs() {
		if lease, ok := set.Get(id); ok && !set.Minted(id) {
			values[id] = lease.Value
			continue
		}
		minted[id] = func(ctx context.Context) (secret.Value, error) {
			lease, err := set.Lease(ctx, id)
			if err != nil {
				return secret.Value{}, err
			}
			return lease.Value, nil
		}
	}
	return values, minted
}

// withPhantoms are needles of the secrets, of what stands in for them in the steps of this and other builds, and of these builds' tickets.
func withPhantoms(secrets []proof.Secret, r *Request) []proof.Secret {
	for _, s := range r.Secrets {
		if len(s.Broker) > 0 || r.Rehearse {
			secrets = append(secrets, proof.Secret{ID: s.ID, Value: gate.PhantomMark(s.ID), Phantom: true})
		}
	}
	if r.brokered() || r.Rehearse {
		secrets = append(secrets, proof.Secret{ID: finding.Ticket, Value: gate.TicketMark(), Phantom: true})
	}
	return secrets
}

// canBroker refuses a build with a broker that the engine, or the place of its Dockerfile, has no way for.
func canBroker(e Engine, job Job) error {
	what := "the broker"
	switch {
	case job.Request.Rehearse:
		what = "a rehearsal"
	case job.Broker == nil:
		return nil
	}
	b, ok := e.(Brokers)
	if !ok {
		return usage("--engine docker or --engine embedded", "%s is not for the engine %s", what, e.Name())
	}
	if job.Original == nil {
		return usage("a local Dockerfile and a local context", "%s has to change steps of the Dockerfile, which is not here to be read", what)
	}
	return b.Brokers(job.Request)
}

// noNetwork is the --network with which no step has one.
const noNetwork = "none"

// Brokered are the options of a translation that leads steps through the broker, or rehearses; nil if the build does neither.
func (j *Job) Brokered() *translate.Brokered {
	switch {
	case j.Request.Rehearse:
		return &translate.Brokered{Rehearsal: true}
	case j.Broker == nil:
		return nil
	}
	return &translate.Brokered{Uses: j.Broker.Uses, Sealed: j.Request.Sealed, Cut: j.Request.Network == noNetwork, Refused: gate.AsksForBuilder}
}

// AddStep tells the broker of a translated step, if that uses it.
func (j *Job) AddStep(s translate.Step) error {
	if s.Broker == "" {
		return nil
	}
	seal := slices.ContainsFunc(s.Brokered, j.Request.Sealed)
	return j.Broker.Add(gate.Step{Name: s.Broker, Label: gate.StepLabel(s.Line), Secrets: s.Brokered, Seal: seal})
}

// forBuilder is what the builder may ask for itself, when it fetches what the Dockerfile or the request names. A frontend that is not
// Docker's own could give it to a step.
func forBuilder(job *Job, src *source) func(context.Context, string) (string, secret.Value, bool) {
	if job.Broker == nil || src == nil || !ownFrontend(src.file.Syntax()) {
		return nil
	}
	urls := append(src.file.AddSources(), job.Request.Context)
	for _, c := range job.Request.BuildContext {
		_, value, _ := strings.Cut(c, "=")
		urls = append(urls, value)
	}
	return func(ctx context.Context, name string) (string, secret.Value, bool) {
		return job.Broker.ForBuilder(ctx, name, urls)
	}
}

// ownFrontend tells whether a syntax directive names a frontend that gives steps what they mount, and nothing else.
func ownFrontend(syntax string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(syntax, "docker.io/"), ":")
	name, _, _ = strings.Cut(name, "@")
	return syntax == "" || name == "docker/dockerfile"
}

// rehearsal is the request with all secrets that the Dockerfile mounts, none of which has to be there.
func (r *Request) rehearsal(stdin io.Reader) (*Request, error) {
	c := *r
	c.Secrets = slices.Clone(r.Secrets)
	if r.File == "-" {
		return &c, nil
	}
	path, text, err := readDockerfile(r, stdin)
	if err != nil || text == nil {
		return &c, err
	}
	f, err := dockerfile.Parse(path, text)
	if err != nil {
		return &c, nil //nolint:nilerr // the builder says it better
	}
	for _, id := range f.SecretIDs() {
		if !slices.ContainsFunc(c.Secrets, func(s Secret) bool { return s.ID == id }) {
			c.Secrets = append(c.Secrets, Secret{ID: id})
		}
	}
	return &c, nil
}

// phantoms are the secrets of a rehearsal. Nothing is resolved.
func phantoms(secrets []Secret) (*secret.Set, error) {
	set := secret.NewSet()
	for _, s := range secrets {
		if err := set.Add(s.ID, &secret.Lease{Value: gate.NewPhantom(s.ID)}); err != nil {
			return nil, err
		}
	}
	return set, nil
}
