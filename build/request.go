// Package build gets secrets into an image build, proves that none of them is in the image, and only then names it.
package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// ProveMode says what happens when the proof does not hold.
type ProveMode string

// The modes of a proof.
const (
	ProveStrict ProveMode = "strict" // nothing is named
	ProveWarn   ProveMode = "warn"   // the image is named all the same
	ProveOff    ProveMode = "off"    // nothing is searched
)

// Request is what the user asked for. It holds references and no values, so all of it may be printed.
//
// The fields up to Call have the names, meanings and syntax of docker build's flags.
type Request struct {
	Context       string   `json:"context"` // a folder, a URL, or "-"
	File          string   `json:"file,omitempty"`
	AddHost       []string `json:"add-host,omitempty"`
	Allow         []string `json:"allow,omitempty"`
	Annotation    []string `json:"annotation,omitempty"`
	Attest        []string `json:"attest,omitempty"`
	BuildArg      []string `json:"build-arg,omitempty"`
	BuildContext  []string `json:"build-context,omitempty"`
	Builder       string   `json:"builder,omitempty"`
	CacheFrom     []string `json:"cache-from,omitempty"`
	CacheTo       []string `json:"cache-to,omitempty"`
	CgroupParent  string   `json:"cgroup-parent,omitempty"`
	IIDFile       string   `json:"iidfile,omitempty"`
	Label         []string `json:"label,omitempty"`
	Load          bool     `json:"load,omitempty"`
	MetadataFile  string   `json:"metadata-file,omitempty"`
	Network       string   `json:"network,omitempty"`
	NoCache       bool     `json:"no-cache,omitempty"`
	NoCacheFilter []string `json:"no-cache-filter,omitempty"`
	Output        []string `json:"output,omitempty"`
	Platform      []string `json:"platform,omitempty"`
	Policy        []string `json:"policy,omitempty"`
	Progress      string   `json:"progress,omitempty"`
	Provenance    string   `json:"provenance,omitempty"`
	Pull          bool     `json:"pull,omitempty"`
	Push          bool     `json:"push,omitempty"`
	Quiet         bool     `json:"quiet,omitempty"`
	Resource      []string `json:"resource,omitempty"`
	SBOM          string   `json:"sbom,omitempty"`
	ShmSize       int64    `json:"shm-size,omitempty"` // bytes
	SSH           []string `json:"ssh,omitempty"`
	Tag           []string `json:"tag,omitempty"`
	Target        string   `json:"target,omitempty"`
	Ulimit        []string `json:"ulimit,omitempty"`
	Call          string   `json:"call,omitempty"`

	Secrets []Secret `json:"secrets,omitempty"`
	// SSHPolicy says what the SSH agents may sign for, by id. One without a policy signs for any server.
	SSHPolicy    map[string]sshagent.Settings `json:"ssh-policy,omitempty"`
	BrokerPass   []gate.Origin                `json:"broker-pass,omitempty"` // what the broker may reach without a credential, also in private networks
	Rehearse     bool                         `json:"rehearse,omitempty"`    // with phantoms only, and no name
	AllowPhantom bool                         `json:"allow-phantom,omitempty"`
	Prove        ProveMode                    `json:"prove"`
	ProveHistory bool                         `json:"prove-history,omitempty"`
	Skip         []string                     `json:"prove-skip,omitempty"`   // path patterns that the proof may leave unread
	Proof        string                       `json:"proof,omitempty"`        // a file for the statement
	Forget       bool                         `json:"prove-forget,omitempty"` // what is remembered of earlier leaks
}

// Secret is one secret of a request.
type Secret struct {
	ID              string     `json:"id"`
	Ref             secret.Ref `json:"reference"`
	RebuildOnChange bool       `json:"rebuild-on-change,omitempty"`
	Waived          bool       `json:"waived,omitempty"` // too short to be proven, and the user knows
	// Broker says where steps may use the secret. If it says anything, they never have the value.
	Broker []gate.Route `json:"broker,omitempty"`
	Seal   bool         `json:"seal,omitempty"` // steps with the secret have no network but the broker
	// Argument is the build argument that brings the secret to builders for which nothing else works; empty: it is mounted. It stays in
	// the image, so that it has to be dead before that gets a name.
	Argument string `json:"build-arg,omitempty"`
}

// MarshalJSON writes the reference as the user does.
func (s Secret) MarshalJSON() ([]byte, error) {
	type plain Secret
	return json.Marshal(struct {
		plain
		Ref string `json:"reference"`
	}{plain(s), s.Ref.String()})
}

// Arguments are build arguments, NAME=VALUE or a NAME alone for a variable of ours, which is left out if we do not have it.
func Arguments(list []string) map[string]string {
	args := map[string]string{}
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			value, ok = os.LookupEnv(name)
		}
		if ok {
			args[name] = value
		}
	}
	return args
}

// UsageError is a request that cannot be met as it stands.
type UsageError struct {
	Err error
	Try string // what to type instead, if anything
}

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Hint is what to type instead, or "".
func (e *UsageError) Hint() string { return e.Try }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

func usage(hint, format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...), Try: hint}
}

// check refuses what no engine could do.
func (r *Request) check() error {
	if !slices.Contains([]ProveMode{ProveStrict, ProveWarn, ProveOff}, r.Prove) {
		return usage("--prove=strict, --prove=warn or --prove=off", "unknown mode of proof %q", r.Prove)
	}
	if r.NoCache && len(r.NoCacheFilter) > 0 {
		return usage("", "--no-cache and --no-cache-filter cannot be used together")
	}
	if r.Rehearse && (r.Prove == ProveOff || r.Proof != "") {
		return usage("leave --proof and --prove=off out", "a rehearsal shows where secrets would leak, and proves nothing of an image")
	}
	seen := map[string]bool{}
	for _, s := range r.Secrets {
		if seen[s.ID] {
			return usage("give each --secret an id of its own", "secret %s is given twice", s.ID)
		}
		seen[s.ID] = true
		if s.Ref.Scheme == secret.SchemeStdin && (r.Context == "-" || r.File == "-") {
			return usage("pass the secret through a file descriptor: from=fd:3 3<FILE",
				"secret %s and the build's context or Dockerfile both come from standard input", s.ID)
		}
	}
	return nil
}

// Printable is the request without what may hold a value after all: the values of build arguments, labels and annotations.
func (r *Request) Printable() *Request {
	c := *r
	for _, list := range []*[]string{&c.BuildArg, &c.Label, &c.Annotation} {
		*list = slices.Clone(*list)
		for i, text := range *list {
			if name, _, ok := strings.Cut(text, "="); ok {
				(*list)[i] = name + "=…"
			}
		}
	}
	return &c
}

// calls tells whether the request asks for information about a Dockerfile and builds nothing.
func (r *Request) calls() bool { return r.Call != "" && r.Call != "build" }

// checkNames refuses a request in which a value is part of a name: it would be in what is printed, and in the index that the
// name is written to.
func (r *Request) checkNames(needles *proof.Needles) error {
	for flag, texts := range map[string][]string{
		"--tag": r.Tag, "--output": r.Output, "--cache-to": r.CacheTo, "--target": {r.Target}, "--platform": r.Platform,
		"--iidfile, --metadata-file or --proof": {r.IIDFile, r.MetadataFile, r.Proof}, "--build-context": r.BuildContext,
		"the path of the context or the Dockerfile": {r.Context, r.File},
	} {
		for _, text := range texts {
			var id string
			needles.Find([]byte(text), func(h proof.Hit) { id = h.Secret })
			if id != "" {
				return usage("", "the value of secret %s is in %s", id, flag)
			}
		}
	}
	return nil
}

// ErrLeaked says that a secret is in the image, which therefore has no name.
var ErrLeaked = errors.New("a secret is in the image")

// ErrInContext says that a secret is in what would be sent to a builder.
var ErrInContext = errors.New("a secret is in the build context")

// ErrContextUnread says that not all of what would be sent to a builder could be searched.
var ErrContextUnread = errors.New("the build context could not be searched completely")

// ErrRecorded says that a secret is in the engine's record of the build only: a step printed it.
var ErrRecorded = errors.New("a secret was in the builder's record of the build, which is deleted now")

// ErrPhantom says that what stands in for a secret is in the image, which therefore has no name.
var ErrPhantom = errors.New("the phantom of a secret is in the image: with the secret itself it would have leaked")

// ErrTicket says that the ticket of a broker is in the image, which therefore has no name.
var ErrTicket = errors.New("the ticket of a broker is in the image: it opens nothing any more, but a build without the broker leaves nothing of it")

// ErrUnproven says that not everything could be searched, so that the image has no name.
var ErrUnproven = errors.New("the image could not be searched completely")
