package build

import (
	"context"
	"io"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/redact"
)

// Streams are the standard streams of a build.
type Streams struct {
	In  io.Reader // a build context or a Dockerfile
	Out io.Writer // what a build itself prints, such as an archive
	Err io.Writer // the display; a terminal if it is an *os.File of one
}

// Engine is what builds. Every implementation passes the contract in buildtest.
type Engine interface {
	// Name is the engine's name on the command line, and Description what is behind it, for the user.
	Name() string
	Description() string

	// Build builds the job's request and gives what came out no name: no tag, nothing pushed, nothing at a final
	// path. The caller ends the Result with Discard. Build returns once ctx is cancelled and nothing of it runs any more.
	// A failed step is a *FailedError. No error and no output holds a value: all text passes job.Redact.
	Build(ctx context.Context, job Job) (Result, error)

	// Close stops what the engine started for itself.
	Close() error
}

// Job is a request made ready: its secrets are resolved and everything it needs is decided.
type Job struct {
	Request *Request
	// Dockerfile replaces the one at DockerfilePath, if it is not nil.
	Dockerfile     []byte
	DockerfilePath string
	// Contexts are further named contexts, by name. The Dockerfile mounts them.
	Contexts map[string]string
	// Original is the Dockerfile before it got such mounts, nil if only the engine can read it. Fingerprints, by secret, is what
	// the mounts are for: steps that use the secret are to run again when it changes.
	Original     []byte
	Fingerprints map[string]string
	Handoff      *Handoff
	// Broker lets steps use secrets without having them; nil if there are none. Engines that implement Brokers add the steps.
	Broker *gate.Steps
	// AgentAudit is called for what SSH agents with a policy are asked; may be nil.
	AgentAudit func(sshagent.Event)
	Redact     *redact.Redactor
	steps      *steps // nil: there are no secrets that steps see once
	// Stage is a folder of this build alone, on the disk that holds the program's cache.
	Stage string
}

// Result is what an engine built and what has no name yet.
type Result interface {
	// Images is everything that came out, to be proven.
	Images(ctx context.Context) ([]image.Image, error)

	// Name tags, loads, pushes and moves what was proven to where the request wants it. It is called once.
	Name(ctx context.Context) (Named, error)

	// Discard removes what has not been named. It works on a context of its own when ctx is done.
	Discard(ctx context.Context) error
}

// Translated is a Result of another Dockerfile than the user's.
type Translated interface {
	// Translation returns that Dockerfile and, for each of its lines, the line of the user's that it comes from.
	Translation() (text []byte, lines []int)
}

// Recorder is a Result whose engine keeps a record of each build: its logs above all.
type Recorder interface {
	// Record returns the record to be searched, and nil if there is none.
	Record(ctx context.Context) (image.Image, error)

	// Forget deletes the record.
	Forget(ctx context.Context) error
}

// Named is what an image is called after all.
type Named struct {
	ID     string   // what the builder calls the image ID: the digest of its config, or of its manifest
	Digest string   // of the manifest or index; empty if the engine makes none
	Names  []string // tags, and the paths of files
}

// FailedError is a build that failed by itself: a step ended badly, or the Dockerfile is wrong.
type FailedError struct {
	Code   int // what the engine exited with, 1 if it has no code of its own
	Text   string
	Record Recorder // of the build; may be nil
}

// Error implements error.
func (e *FailedError) Error() string { return e.Text }
