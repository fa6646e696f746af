package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tightlip/tightlip/internal/lazy"
)

// session is one case on one builder.
type session struct {
	ctx     context.Context
	builder Builder
	options Options
	dir     string
	image   string
	start   time.Time
	flags   []string // of all builds of the case
	built   bool
}

// secret is one that a case gives to a build.
type secret struct {
	id    string
	value []byte
	env   bool // it comes from a variable, else from a file
	unset bool // the variable does not exist
}

// canary is a value that nothing else holds.
func canary() []byte { return []byte("canary" + rand.Text()) }

// buildTime bounds one build.
const buildTime = 2 * time.Minute

// base is the part that the Dockerfiles of all cases begin with.
const base = `FROM scratch AS base
COPY busybox /bin/busybox
COPY passwd group /etc/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base
`

// built is what came of a build.
type built struct {
	ok     bool
	output string
}

// results are what the steps printed behind RESULT=, in their order. The instruction itself, which some builders print,
// does not match.
var results = lazy.Regexp(`(?m)RESULT=([\w.:/+-]*)\s*$`)

func (b built) result() string {
	all := results().FindAllStringSubmatch(b.output, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

// complaint is what a line with the cause of a failure looks like.
var complaint = lazy.Regexp(`(?i)unknown flag|requires|error`)

// failure is the last line that says why, or else the last one.
func (b built) failure() string {
	last := ""
	for _, line := range slices.Backward(strings.Split(b.output, "\n")) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "tightlip: error: ")
		if complaint().MatchString(line) {
			return line
		}
		if last == "" && !strings.HasPrefix(line, "tightlip: hint") {
			last = line
		}
	}
	return last
}

// command makes the command of a build.
func (s *session) command(ctx context.Context, steps string, secrets []secret, flags ...string) (*exec.Cmd, error) {
	file := filepath.Join(s.dir, "Dockerfile")
	if err := os.WriteFile(file, []byte(base+steps), 0o600); err != nil {
		return nil, err
	}
	args := slices.Concat(s.builder.Command[1:], []string{"-f", file, "-t", s.image}, s.flags, flags)
	env := s.builder.Env
	if env == nil {
		env = os.Environ()
	}
	env = slices.Clone(env)
	for _, sec := range secrets {
		if sec.env {
			name := "CONFORMANCE_" + strings.ToUpper(sec.id)
			args = append(args, "--secret", "id="+sec.id+",type=env,env="+name)
			if !sec.unset {
				env = append(env, name+"="+string(sec.value))
			}
			continue
		}
		path := filepath.Join(s.dir, "secret-"+sec.id)
		if err := os.WriteFile(path, sec.value, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--secret", "id="+sec.id+",type=file,src="+path)
	}
	cmd := exec.CommandContext(ctx, s.builder.Command[0], append(args, filepath.Join(s.options.Dir, "context"))...)
	cmd.Env = env
	inGroup(cmd)
	return cmd, nil
}

// build runs a build to its end.
func (s *session) build(steps string, secrets []secret, flags ...string) built {
	ctx, cancel := context.WithTimeout(s.ctx, buildTime)
	defer cancel()
	cmd, err := s.command(ctx, steps, secrets, flags...)
	if err != nil {
		return built{output: err.Error()}
	}
	out, err := cmd.CombinedOutput()
	s.built = s.built || err == nil
	return built{ok: err == nil, output: string(out)}
}

// output collects what a running build prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// errNotReached is a build that ended before it could be killed.
var errNotReached = errors.New("the build did not get that far")

// kill begins a build, waits until a step has printed RESULT=now, and sends the signal.
func (s *session) kill(steps string, secrets []secret, signal syscall.Signal) error {
	ctx, cancel := context.WithTimeout(s.ctx, buildTime)
	defer cancel()
	cmd, err := s.command(ctx, steps, secrets, "--no-cache")
	if err != nil {
		return err
	}
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !results().MatchString(out.text()) {
		select {
		case <-ended:
			return errNotReached
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
	}
	time.Sleep(time.Second) // what the build ran may take a moment to end
	if s.builder.After != nil {
		after := exec.CommandContext(s.ctx, s.builder.After[0], s.builder.After[1:]...)
		after.Env = s.builder.Env
		return after.Run()
	}
	return nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// onImage runs one of the builder's commands on the image.
func (s *session) onImage(command []string) ([]byte, error) {
	cmd := exec.CommandContext(s.ctx, command[0], append(slices.Clone(command[1:]), s.image)...)
	cmd.Env = s.builder.Env
	return cmd.Output()
}

// clean removes the image.
func (s *session) clean() {
	if s.built && s.builder.Remove != nil {
		_, _ = s.onImage(s.builder.Remove)
	}
}

// onDisk finds a file below the engine's folders that was written since the case began and holds the value.
func (s *session) onDisk(value []byte) string {
	for _, root := range s.builder.Roots {
		if found := s.search(root, value); found != "" {
			return found
		}
	}
	return ""
}

func (s *session) search(root string, value []byte) (found string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Before(s.start) || info.Size() > 64<<20 {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, value) {
			found, _ = filepath.Rel(root, path)
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// digest is how steps show a value.
func digest(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:8])
}
