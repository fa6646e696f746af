package classic

import (
	"errors"
	"net"
	"slices"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

var (
	errNoRehearsal = errors.New("the classic builder cannot rehearse a build")
	errNoSeal      = errors.New("the classic builder cannot take the network from one step alone (seal)")
)

// Brokers implements build.Brokers.
func (e *Engine) Brokers(r *build.Request) error {
	const elsewhere = "--engine docker or --engine embedded"
	if r.Rehearse {
		return &build.UsageError{Err: errNoRehearsal, Try: elsewhere}
	}
	if r.Network != "none" && slices.ContainsFunc(r.Secrets, func(s build.Secret) bool { return s.Seal }) {
		return &build.UsageError{Err: errNoSeal, Try: "--network none, which takes the network from all steps, or " + elsewhere}
	}
	return nil
}

// addSteps tells the broker of the steps that use it.
func addSteps(job build.Job, tr *translate.Result) error {
	for _, s := range tr.Steps {
		if err := job.AddStep(s); err != nil {
			return err
		}
	}
	return nil
}

// through is broker.Options.Through.
func through(job build.Job) func(id string, conn net.Conn) error {
	if job.Broker == nil {
		return nil
	}
	return job.Broker.Serve
}
