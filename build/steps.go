package build

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/internal/cachedir"
	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// steps keeps what steps left that had a minted value, and that no proof has searched for it, out of the images of later builds. Nobody
// can search for such a value any more, and a builder takes the step from its cache.
//
// So each such secret has a salt, which is a part of what its steps depend on. A build that is proven leaves its salt to the next, whose steps may come
// from the cache then. One that fails, is killed or leaks does not, and the next one's steps run again, with a salt of its own.
type steps struct {
	dir  cachedir.Dir
	name string           // of this build
	all  map[string]*salt // by secret
	held []func()         // gives back the salts of others
}

// salt is that of one secret.
type salt struct {
	entry  string // where the next build finds it
	text   string
	own    bool // no other build has it: nothing in the cache is of it
	minted bool
	hidden bool // not all steps that may mount the secret are known, so that none has it
}

// opened is an entry for each build that has minted with a salt of another and is not proven: NAME of the salt, NAME of the build.
const opened = ".open-"

// openSteps finds the salts of the secrets whose minted values steps see.
func openSteps(folder string, job *Job, set *secret.Set, src *source) (*steps, error) {
	s := &steps{name: strings.ToLower(rand.Text()), all: map[string]*salt{}}
	for _, sec := range job.Request.Secrets {
		if !set.Minted(sec.ID) || len(sec.Broker) > 0 || sec.Argument != "" || job.Request.Prove == ProveOff {
			continue
		}
		s.all[sec.ID] = &salt{entry: job.scope(sec, src)}
	}
	if len(s.all) == 0 {
		return s, nil
	}
	var err error
	if s.dir, err = cachedir.Open(folder); err != nil {
		return nil, fmt.Errorf("opening the notes of proven steps: %w", err)
	}
	for _, salt := range s.all {
		if !s.take(salt) {
			salt.text, salt.own = hex.EncodeToString(random(saltSize)), true
		}
	}
	return s, nil
}

const saltSize = 16 // bytes

// take has a build go on with the salt of one that was proven, unless another build does so now: a builder would run their steps once for both.
func (s *steps) take(salt *salt) bool {
	text, err := s.dir.Read(salt.entry)
	salt.text = string(text)
	if err != nil || len(text) != hex.EncodedLen(saltSize) || s.unproven(salt) {
		s.dir.Remove(salt.entry)
		return false
	}
	giveBack, err := lockfile.Lock(s.dir.Path(salt.text + ".held"))
	if err == nil {
		s.held = append(s.held, giveBack)
	}
	return err == nil
}

// close lets other builds go on with the salts.
func (s *steps) close() {
	if s == nil {
		return
	}
	for _, giveBack := range s.held {
		giveBack()
	}
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// scope names what a proof is about: any build whose image has the steps themselves in it, or else this build alone. An image without
// layers has only what was left at the end.
func (j *Job) scope(s Secret, src *source) string {
	r := j.Request
	about := []any{proof.Rules, s.ID, s.Ref.String(), s.Ref.Dir, s.Waived, r.Skip, r.flat()}
	if src == nil || !src.within(s.ID) {
		about = append(about, r.Target, Arguments(r.BuildArg), r.Platform, r.BuildContext, j.Original)
	}
	text, err := json.Marshal(about)
	if err != nil {
		panic(err) // texts can be marshalled
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// flat tells whether nothing that is built has layers.
func (r *Request) flat() bool {
	return len(r.Output) > 0 && !slices.ContainsFunc(r.Output, func(o string) bool {
		fields := strings.Split(o, ",")
		return strings.Contains(o, "=") && !slices.Contains(fields, "type=local") && !slices.Contains(fields, "type=tar")
	})
}

// hidden tells whether there may be steps with secrets to which no mount can be added.
func (s *source) hidden(r *Request) bool {
	if s == nil || s.file.HidesSecrets() || slices.ContainsFunc(r.BuildArg, func(a string) bool { return strings.HasPrefix(a, "BUILDKIT_SYNTAX") }) {
		return true
	}
	syntax, _, _ := strings.Cut(s.file.Syntax(), "@")
	syntax, _, _ = strings.Cut(strings.TrimPrefix(syntax, "docker.io/"), ":")
	return !slices.Contains([]string{"", "docker/dockerfile", "docker/dockerfile-upstream"}, syntax)
}

// within tells whether all steps that mount a secret are in the image itself, and not in a stage that it copies from.
func (s *source) within(id string) bool {
	if slices.ContainsFunc(s.file.Stages(), func(i instructions.Stage) bool { return strings.Contains(i.BaseName, "$") }) {
		return false // a build argument may make it another chain
	}
	chain := s.file.Chain(s.target)
	for _, line := range s.file.SecretLines(id) {
		if !slices.ContainsFunc(chain, func(i dockerfile.Instruction) bool { return i.Line == line }) {
			return false
		}
	}
	return true
}

// mint notes that a value is about to be known to steps.
func (s *steps) mint(id string) error {
	if s == nil || s.all[id] == nil || s.all[id].minted {
		return nil
	}
	salt := s.all[id]
	if !salt.own {
		if err := s.dir.Keep(salt.text + opened + s.name); err != nil {
			return fmt.Errorf("noting that steps get %s: %w", id, err)
		}
	}
	salt.minted = true
	return nil
}

// proven lets later builds take from the cache what this one's steps left.
func (s *steps) proven() {
	for _, salt := range s.all {
		switch {
		case !salt.minted:
		case salt.own:
			s.dir.Write(salt.entry, []byte(salt.text))
		default:
			s.dir.Remove(salt.text + opened + s.name)
		}
	}
}

// unproven tells whether a build has minted with a salt, and was not proven.
func (s *steps) unproven(salt *salt) bool {
	names, err := s.dir.Names(salt.text + opened)
	return err != nil || slices.ContainsFunc(names, func(name string) bool { return name != salt.text+opened+s.name })
}

// check finds secrets that another build minted with the same salt while this one ran: a builder runs a step once for both. Where locks work,
// there are none.
func (s *steps) check() error {
	for id, salt := range s.all {
		if !salt.own && s.unproven(salt) {
			return &sharedError{id}
		}
	}
	return nil
}

// sharedError is an ErrUnproven.
type sharedError struct{ id string }

func (e *sharedError) Error() string {
	return fmt.Sprintf("another build ran a step with secret %s at the same time, and this image may have what that step was given", e.id)
}

// Unwrap returns ErrUnproven.
func (e *sharedError) Unwrap() error { return ErrUnproven }

// Hint is what to do.
func (e *sharedError) Hint() string { return "build again when the other build has ended" }
