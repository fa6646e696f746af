package classic

import (
	"errors"
	"net"
	"slices"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

var errNoSeal = errors.New("the classic builder cannot take the network from one step alone (seal)")

// Brokers implements build.Brokers.
func (e *Engine) Brokers(r *build.Request) error {
	if !r.Rehearse && r.Network != "none" && slices.ContainsFunc(r.Secrets, func(s build.Secret) bool { return s.Seal }) {
		return &build.UsageError{Err: errNoSeal, Try: "--network none, which takes the network from all steps, or --engine docker or --engine embedded"}
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
