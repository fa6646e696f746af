package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// source is the Dockerfile of a build, if it can be read before: nil if it is somewhere else.
type source struct {
	file   *dockerfile.File
	path   string
	target string
	user   *dockerfile.File // of a translated file: the user's,
	lines  []int            // and which of its lines each line comes from
}

// maxDockerfile bounds, in bytes, what is read as a Dockerfile from standard input.
const maxDockerfile = 16 << 20

// prepare reads the Dockerfile, if it is at hand, and rewrites it for the secrets whose change has to run steps again.
func prepare(job *Job, set *secret.Set, t Tools) (*source, error) {
	r := job.Request
	path, text, err := readDockerfile(r, t.In)
	if err != nil {
		return nil, err
	}
	job.Original, job.DockerfilePath = text, path
	if r.File == "-" {
		job.Dockerfile = text
	}
	var src *source
	if text != nil {
		// What BuildKit cannot parse either is its to report, with the line marked.
		if f, err := dockerfile.Parse(path, text); err == nil {
			src = &source{file: f, path: path, target: r.Target}
		}
	}
	if job.steps, err = openSteps(t.StepsDir, job, set, src); err != nil {
		return nil, err
	}
	if len(job.steps.all) > 0 && src.hidden(job.Request) {
		r := *job.Request
		r.NoCache, r.NoCacheFilter = true, nil
		job.Request = &r
		for _, salt := range job.steps.all {
			salt.hidden = true
		}
	}
	if src == nil {
		return nil, job.Request.changesNothing()
	}
	contexts, err := fingerprints(job, set, t.Cache)
	if err != nil || len(contexts) == 0 {
		return src, err
	}
	job.Contexts = contexts
	job.Dockerfile, err = src.file.AddMounts(rebuildMount(contexts))
	return src, err
}

// changesNothing refuses what takes a Dockerfile that can be read.
func (r *Request) changesNothing() error {
	if slices.ContainsFunc(r.Secrets, func(s Secret) bool { return s.RebuildOnChange }) {
		return usage("a local Dockerfile, or leave rebuild=on-change out",
			"rebuild=on-change has to add a mount to the Dockerfile, which is not here to be read")
	}
	return nil
}

// readDockerfile returns nothing, and no error, for a Dockerfile that only the engine can read: in a remote context,
// or in an archive on standard input.
func readDockerfile(r *Request, stdin io.Reader) (path string, text []byte, err error) {
	switch {
	case r.File == "-":
		text, err = io.ReadAll(io.LimitReader(stdin, maxDockerfile))
		if err != nil {
			return "", nil, fmt.Errorf("reading the Dockerfile from standard input: %w", err)
		}
		return "-", text, nil
	case strings.Contains(r.File, "://") || !isFolder(r.Context):
		return "", nil, nil // the file is in the context
	case r.File != "":
		path = r.File
	default:
		path = filepath.Join(r.Context, "Dockerfile")
	}
	text, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil // the engine says it better
	}
	return path, text, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fingerprintFile is what a fingerprint's folder holds. The mount's target is below /dev, which a runtime fills anew
// for each step, so that no empty file stays behind in the image.
const fingerprintFile = "fingerprint"

// fingerprints makes a context with a keyed fingerprint for each secret whose change has to run steps again, and with the salt of each
// that has one.
func fingerprints(job *Job, set *secret.Set, cache *proof.Cache) (map[string]string, error) {
	contexts := map[string]string{}
	for i, s := range job.Request.Secrets {
		lease, ok := set.Get(s.ID)
		salt := job.steps.all[s.ID]
		print := ""
		switch {
		case s.RebuildOnChange && !ok:
			return nil, usage("leave rebuild=on-change out", "secret %s is minted anew for each build, so that every build would run its steps", s.ID)
		case s.RebuildOnChange:
			print = cache.Fingerprint(lease.Value.Open())
		case salt != nil && !salt.hidden:
			print = salt.text
		default:
			continue
		}
		dir := filepath.Join(job.Stage, fmt.Sprintf("fingerprint-%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		if job.Fingerprints == nil {
			job.Fingerprints = map[string]string{}
		}
		job.Fingerprints[s.ID] = print
		if err := os.WriteFile(filepath.Join(dir, fingerprintFile), []byte(print), 0o600); err != nil {
			return nil, err
		}
		contexts[contextName(s.ID)] = dir
	}
	return contexts, nil
}

// contextName is the name of the context with a secret's fingerprint. Names of contexts are image references:
// an id may hold characters that these do not allow.
func contextName(id string) string { return fmt.Sprintf("tightlip-fingerprint-%x", id) }

func rebuildMount(contexts map[string]string) func(id string) (string, bool) {
	return func(id string) (string, bool) {
		name := contextName(id)
		_, ok := contexts[name]
		return fmt.Sprintf("--mount=type=bind,from=%s,source=%s,target=/dev/%s", name, fingerprintFile, name), ok
	}
}

// translated is the same source as the engine had it.
func (s *source) translated(t Translated) *source {
	text, lines := t.Translation()
	if s == nil || text == nil {
		return s
	}
	f, err := dockerfile.Parse(s.path, text)
	if err != nil {
		return s
	}
	return &source{file: f, path: s.path, target: s.target, user: s.file, lines: lines}
}

// line is an instruction as a finding tells of it, in the user's file.
func (s *source) line(i *dockerfile.Instruction) *finding.Source {
	if s.user == nil || i.Line > len(s.lines) {
		return &finding.Source{File: s.path, Line: i.Line, Text: i.Text}
	}
	n := s.lines[i.Line-1]
	return &finding.Source{File: s.path, Line: n, Text: s.user.Line(n)}
}

// origins finds the lines behind an image's history.
func (s *source) origins(history []string) []*finding.Source {
	out := make([]*finding.Source, len(history))
	if s == nil {
		return out
	}
	for i, o := range dockerfile.Origins(s.file.Chain(s.target), history) {
		if o != nil {
			out[i] = s.line(o)
		}
	}
	return out
}
