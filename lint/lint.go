// Package lint finds what would leak secrets into an image before it is built: in Dockerfiles, in their build contexts, and in
// the files that start builds.
//
// A checker (check.go) follows secrets through one Dockerfile: from where they get in, which are arguments, variables, mounts and
// copied files, to where they stay, which are the config, history, layers and the log. Package flow does that within a RUN, and
// package caller says which arguments others fill from secrets.
package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/caller"
	"github.com/tightlip/tightlip/scan/detect"
	"golang.org/x/sync/errgroup"
)

// Options say what to check.
type Options struct {
	Root        string   // the project's folder
	Dockerfiles []string // paths, from the working directory; none: all that are in the project
	Context     string   // the build context of all of them; "": what the callers say, else the Dockerfile's folder
	Target      string   // the stage that is built; "": what the callers say, and the last
	Detector    *detect.Detector
	// Ignore sets Leak.Ignored of the findings that do not count, beside those that comments take out: these are not fixed. Nil is none.
	Ignore func([]finding.Leak)
}

// Result is what was found.
type Result struct {
	Files    []string // that were read, from the root
	Bytes    int64
	Findings []finding.Leak // in the order of files and lines
	Unread   []Unread
	Fixes    []Fix
	Hints    []string // how to build after the fixes
}

// Unread is what could not be checked, and why.
type Unread struct {
	Path   string
	Line   int // counted from 1; 0: the whole file
	Reason string
}

// Fix is a change of a file that takes leaks out of it.
type Fix struct {
	Path          string // from the root
	Before, After []byte // Before is nil for a new file
}

// Check checks a project. What cannot be read is in Result.Unread; the error is one of the options.
func Check(ctx context.Context, o Options) (*Result, error) {
	p := &project{options: o, contexts: map[string]*contextOnce{}, texts: map[string][]byte{}}
	if err := p.discover(); err != nil {
		return nil, err
	}
	p.readCallers()
	if err := p.checkAll(ctx); err != nil {
		return nil, err
	}
	if o.Target != "" && !slices.ContainsFunc(p.results, func(r fileResult) bool {
		return r.checker == nil || r.checker.file.Stage(o.Target, len(r.checker.file.Stages())) >= 0
	}) {
		return nil, fmt.Errorf("no Dockerfile has a stage %q", o.Target)
	}
	return p.result(), nil
}

// project is a folder that is checked.
type project struct {
	options  Options
	paths    []string // of Dockerfiles, from the root
	callers  []string // of files that may start builds
	builds   []*caller.Build
	sources  map[string][]byte // of callers, by path
	texts    map[string][]byte // of all files that were read
	contexts map[string]*contextOnce

	mu      sync.Mutex
	results []fileResult
	files   []string
	bytes   int64
	unread  []Unread
}

// fileResult is what came of one Dockerfile, or of one that is in another file.
type fileResult struct {
	path     string
	checker  *checker
	repaired bool // it is checked as far as it can be read
	leaks    []finding.Leak
}

// discover finds Dockerfiles and the files that start builds.
func (p *project) discover() error {
	for _, name := range p.options.Dockerfiles {
		abs, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		if _, err := os.Stat(abs); err != nil {
			return fmt.Errorf("opening the Dockerfile: %w", err)
		}
		p.paths = append(p.paths, p.rel(abs))
	}
	given := len(p.paths) > 0
	info, err := os.Stat(p.options.Root)
	switch {
	case err != nil:
		return fmt.Errorf("opening the project: %w", err)
	case !info.IsDir():
		return fmt.Errorf("opening the project: %s is not a folder: a single Dockerfile is given with --file", p.options.Root)
	}
	return fs.WalkDir(os.DirFS(p.options.Root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			p.cannot(name, 0, err)
			return nil
		}
		if d.IsDir() && name != "." && skipDir(d) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() && !(d.Type() == fs.ModeSymlink && isDockerfile(name) && p.isFile(name)) {
			return nil
		}
		switch {
		case isDockerfile(name):
			if !given {
				p.paths = append(p.paths, name)
			}
		case caller.Kind(name) != "" || path.Ext(name) == "" && p.isScript(name):
			p.callers = append(p.callers, name)
		}
		return nil
	})
}

// isFile tells whether a link leads to a file of the project.
func (p *project) isFile(name string) bool {
	root, err := os.OpenRoot(p.options.Root)
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular()
}

// isScript tells whether a file starts as scripts do.
func (p *project) isScript(name string) bool {
	f, err := os.Open(p.full(name))
	if err != nil {
		return false
	}
	defer f.Close()
	var start [2]byte
	_, err = io.ReadFull(f, start[:])
	return err == nil && string(start[:]) == "#!"
}

// rel is a path from the project's root, if it is below that.
func (p *project) rel(abs string) string {
	root, err := filepath.Abs(p.options.Root)
	if err != nil {
		return abs
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return abs
	}
	return filepath.ToSlash(rel)
}

// otherEndings are those of files that are about Dockerfiles, and programEndings of programs that are.
var (
	otherEndings   = strings.Fields(".dockerignore .md .j2 .erb .tmpl .tpl .orig .txt .rego .nanorc .tmlanguage .tmpreferences .yaml .yml .json .svg .png .html .vim .snippets .sublime-syntax .cson .rej .bak .swp")
	programEndings = strings.Fields(".go .py .js .ts .rs .rb .java .kt .cs .c .h .php .lua .ex .sh .css")
)

// isDockerfile tells whether a file is one by its name.
func isDockerfile(name string) bool {
	base := path.Base(name)
	low := strings.ToLower(base)
	ext := path.Ext(low)
	if slices.Contains(otherEndings, ext) || base[0] == 'd' && slices.Contains(programEndings, ext) {
		return false
	}
	for _, n := range []string{"dockerfile", "containerfile"} {
		if low == n || strings.HasPrefix(low, n+".") || strings.HasPrefix(low, n+"-") || strings.HasPrefix(low, n+"_") || ext == "."+n {
			return true
		}
	}
	return false
}

// cannot notes what could not be read.
func (p *project) cannot(name string, line int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = append(p.unread, Unread{Path: name, Line: line, Reason: err.Error()})
}

// maxFile is how many bytes a file may have. BuildKit takes no longer Dockerfiles, either.
const maxFile = 2 << 20

// read reads a file of the project.
func (p *project) read(name string) ([]byte, error) {
	full := filepath.Join(p.options.Root, filepath.FromSlash(name))
	if filepath.IsAbs(name) {
		full = name
	}
	text, err := readRegular(full)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files, p.bytes = append(p.files, name), p.bytes+int64(len(text))
	p.texts[name] = text
	return text, nil
}

// readRegular reads a file that can be read to its end: a pipe would wait for its writer.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%d bytes are more than can be checked", info.Size())
	}
	return os.ReadFile(name)
}

// readCallers reads the files that may start builds.
func (p *project) readCallers() {
	p.sources = map[string][]byte{}
	type read struct {
		text   []byte
		builds []caller.Build
		err    error
	}
	reads := make([]read, len(p.callers))
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range p.callers {
		group.Go(func() error {
			r := &reads[i]
			if r.text, r.err = p.read(name); r.err == nil {
				r.builds, r.err = caller.Read(name, r.text)
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return nothing
	defer func() {
		p.override()
		p.adopt()
	}()
	for i, r := range reads {
		for err := range each(r.err) {
			if at := (*caller.SyntaxError)(nil); errors.As(err, &at) {
				p.cannot(p.callers[i], at.Line, errors.New(at.Why))
			} else {
				p.cannot(p.callers[i], 0, err)
			}
		}
		p.sources[p.callers[i]] = r.text
		for n := range r.builds {
			p.builds = append(p.builds, &r.builds[n])
		}
	}
}

// each yields the errors that an error joins.
func each(err error) iter.Seq[error] {
	return func(yield func(error) bool) {
		joined, ok := err.(interface{ Unwrap() []error })
		switch {
		case err == nil:
		case !ok:
			yield(err)
		default:
			for _, e := range joined.Unwrap() {
				for inner := range each(e) {
					if !yield(inner) {
						return
					}
				}
			}
		}
	}
}

// override completes the builds of compose files that only add to those of others in their folder.
func (p *project) override() {
	for _, b := range p.builds {
		if !b.Override || b.Context != "" {
			continue
		}
		folder := path.Dir(b.File)
		base := &caller.Build{Context: folder, Dockerfile: path.Join(folder, "Dockerfile")}
		for _, other := range p.builds {
			if !other.Override && other.Kind == b.Kind && other.Service == b.Service && path.Dir(other.File) == folder && other.Service != "" {
				base = other
				break
			}
		}
		b.Context, b.Dockerfile = base.Context, cmp.Or(b.Dockerfile, base.Dockerfile)
		b.Target = cmp.Or(b.Target, base.Target)
	}
}

// adopt adds the Dockerfiles that only those who build them call so.
func (p *project) adopt() {
	if len(p.options.Dockerfiles) > 0 {
		return
	}
	known := map[string]bool{}
	for _, name := range p.paths {
		known[name] = true
	}
	for _, b := range p.builds {
		if name := b.Dockerfile; name != "" && b.Inline == "" && !known[name] {
			known[name] = true
			if info, err := os.Stat(p.full(name)); err == nil && info.Mode().IsRegular() {
				p.paths = append(p.paths, name)
			}
		}
	}
}

// checkAll checks all Dockerfiles.
func (p *project) checkAll(ctx context.Context) error {
	inline := 0
	for _, b := range p.builds {
		if b.Inline != "" {
			inline++
		}
	}
	p.results = make([]fileResult, len(p.paths), len(p.paths)+inline)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range p.paths {
		group.Go(func() error {
			p.results[i] = p.check(name)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, b := range p.builds {
		if b.Inline != "" {
			p.results = append(p.results, p.checkInline(b))
		}
	}
	return nil
}

// check checks a Dockerfile.
func (p *project) check(name string) fileResult {
	text, err := p.read(name)
	if err != nil {
		p.cannot(name, 0, err)
		return fileResult{path: name}
	}
	var builds []*caller.Build
	for _, b := range p.builds {
		if at, ok := buildOf(b, name); ok {
			builds = append(builds, at)
		}
	}
	return p.checkText(name, text, builds)
}

// buildOf is a build as it is if it builds the Dockerfile of a path.
func buildOf(b *caller.Build, name string) (*caller.Build, bool) {
	if b.Inline != "" {
		return nil, false
	}
	if b.Dockerfile == name {
		return b, true
	}
	for _, other := range b.Alternatives {
		if other.Dockerfile == name {
			own := *b
			own.Context, own.Dockerfile = other.Context, other.Dockerfile
			return &own, true
		}
	}
	return nil, false
}

// checkInline checks a Dockerfile that is in a compose or bake file.
func (p *project) checkInline(b *caller.Build) fileResult {
	r := p.checkText(b.File, []byte(b.Inline), []*caller.Build{b})
	for i := range r.leaks {
		l := &r.leaks[i]
		l.Where, l.Column, l.Width = b.Kind, 0, 0
		if b.InlineLine > 0 {
			l.Line += b.InlineLine - 1
			l.Source.Line = l.Line
		}
	}
	return r
}

func (p *project) checkText(name string, text []byte, builds []*caller.Build) fileResult {
	r := fileResult{path: name}
	file, err := dockerfile.Parse(name, text)
	if err != nil {
		p.cannot(name, dockerfile.ErrorLine(err), errors.New(reasonOf(err)))
		if file = repaired(name, text, err); file == nil {
			return r
		}
		r.repaired = true
	}
	for i, dir := range p.contextsOf(name, file, builds) {
		c := &checker{name: name, file: file, det: p.options.Detector, builds: builds, context: p.context(dir, name)}
		if p.options.Target != "" {
			c.targets = []string{p.options.Target}
		}
		c.run()
		if i == 0 {
			r.checker, r.leaks = c, c.results()
			continue
		}
		for _, l := range c.results() { // what only this context has
			if !slices.ContainsFunc(r.leaks, func(k finding.Leak) bool { return k.Line == l.Line && kindOf(&k) == kindOf(&l) }) {
				l.Detail += " That is in the context " + dir + "."
				r.leaks = append(r.leaks, l)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = append(p.unread, r.checker.gaps...)
	return r
}

var (
	meant    = lazy.Regexp(`unknown instruction: \S+ \((did you mean \w+\?)\)`)
	position = lazy.Regexp(`^(parsing [^:]*: )?(dockerfile parse error on line \d+: )?`)
	quoted   = lazy.Regexp("[\"'`].*")
	notWords = lazy.Regexp(`\S*[^a-z\s=:,.()-]\S*`)
)

// reasonOf is an error of the parser without what it quotes of the file, which may be a secret.
func reasonOf(err error) string {
	text := err.Error()
	if m := meant().FindStringSubmatch(text); m != nil {
		return "unknown instruction: " + m[1]
	}
	text = strings.TrimPrefix(text, position().FindString(text))
	if strings.HasPrefix(text, "unknown instruction") {
		return "unknown instruction"
	}
	return "it cannot be parsed: " + strings.TrimSpace(notWords().ReplaceAllString(quoted().ReplaceAllString(text, "…"), "…"))
}

// repaired is a Dockerfile without the instructions that cannot be read; nil if there is no such.
func repaired(name string, text []byte, err error) *dockerfile.File {
	lines := strings.SplitAfter(string(text), "\n")
	for range 20 {
		n := dockerfile.ErrorLine(err)
		if n < 1 || n > len(lines) || strings.HasPrefix(lines[n-1], "#") {
			return nil
		}
		lines[n-1] = "#" + strings.TrimRight(strings.TrimRight(lines[n-1], "\r\n"), "\\ ") + "\n"
		var file *dockerfile.File
		if file, err = dockerfile.Parse(name, []byte(strings.Join(lines, ""))); err == nil {
			return file
		}
	}
	return nil
}

// contextOnce is a build context that is read when the first Dockerfile needs it.
type contextOnce struct {
	once    sync.Once
	context *buildContext
}

// maxContexts is how many build contexts of one Dockerfile are looked at.
const maxContexts = 8

// contextsOf are the build contexts of a Dockerfile: the one that is given, those of its callers, or the folder that has what it copies, its own or
// the root.
func (p *project) contextsOf(name string, file *dockerfile.File, builds []*caller.Build) []string {
	if p.options.Context != "" {
		abs, err := filepath.Abs(p.options.Context)
		if err != nil {
			return []string{"."}
		}
		return []string{p.rel(abs)}
	}
	var dirs []string
	for _, b := range builds {
		if b.Context != "" && !slices.Contains(dirs, b.Context) && len(dirs) < maxContexts {
			dirs = append(dirs, b.Context)
		}
	}
	own := path.Dir(name)
	switch {
	case len(dirs) > 0:
		return dirs
	case own != "." && p.has(".", file) > p.has(own, file):
		return []string{"."}
	}
	return []string{own}
}

// has is how many of the files that a Dockerfile names are in a folder.
func (p *project) has(dir string, file *dockerfile.File) (n int) {
	for _, s := range file.Stages() {
		for _, cmd := range s.Commands {
			c, ok := cmd.(*instructions.CopyCommand)
			if !ok || c.From != "" {
				continue
			}
			for _, source := range c.SourcePaths {
				clean := path.Clean("/" + source)
				if clean != "/" && !strings.ContainsAny(clean, "*?[$") && exists(filepath.Join(p.full(dir), filepath.FromSlash(clean))) {
					n++
				}
			}
		}
	}
	return n
}

// context is a build context of a Dockerfile.
func (p *project) context(dir, name string) *buildContext {
	ignore := ""
	if own := p.full(name) + ".dockerignore"; exists(own) {
		ignore = own
	}
	p.mu.Lock()
	key := dir + "\x00" + ignore
	once := p.contexts[key]
	if once == nil {
		once = &contextOnce{}
		p.contexts[key] = once
	}
	p.mu.Unlock()
	once.once.Do(func() { once.context = p.readContext(dir, ignore) })
	if once.context == nil {
		return nil
	}
	own := *once.context
	own.known = map[string]*detect.Rule{}
	return &own
}

func (p *project) full(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.options.Root, filepath.FromSlash(name))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// maxContext is how many files of a build context are looked at.
const maxContext = 200_000

// readContext lists the files of a build context.
func (p *project) readContext(dir, ignoreFile string) *buildContext {
	full := p.full(dir)
	ignore, err := image.ReadIgnore(full, ignoreFile)
	if err != nil {
		p.cannot(path.Join(dir, ".dockerignore"), 0, err)
		ignore = nil
	}
	name := path.Join(dir, ".dockerignore")
	if ignoreFile != "" {
		name = p.rel(ignoreFile)
	}
	if text, err := readRegular(p.full(name)); err == nil {
		p.mu.Lock()
		p.texts[name] = text
		p.mu.Unlock()
	}
	b := &buildContext{ignoreFile: name, dir: dir, all: map[string]bool{}, read: func(name string) ([]byte, error) {
		return readRegular(filepath.Join(full, filepath.FromSlash(name)))
	}}
	err = fs.WalkDir(os.DirFS(full), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // what the user may not read, a build may not either
		case len(b.all) > maxContext:
			return errors.New("it has too many files")
		}
		b.all[name] = true
		out, skip := ignore.LeavesOut(name, d.IsDir())
		if skip != nil {
			return skip
		}
		if !out && d.Type().IsRegular() {
			b.files = append(b.files, name)
		}
		return nil
	})
	if err != nil {
		p.cannot(dir, 0, fmt.Errorf("reading the build context: %w", err))
	}
	return b
}

// result puts everything together.
func (p *project) result() *Result {
	r := &Result{Files: p.files, Bytes: p.bytes, Unread: p.unread}
	for _, f := range p.results {
		r.Findings = append(r.Findings, f.leaks...)
	}
	r.Findings = append(r.Findings, p.callerFindings()...)
	slices.Sort(r.Files)
	slices.SortStableFunc(r.Findings, func(a, b finding.Leak) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	number(r.Findings)
	if p.options.Ignore != nil {
		p.options.Ignore(r.Findings)
	}
	p.fixes(r)
	slices.SortFunc(r.Unread, func(a, b Unread) int { return cmp.Or(strings.Compare(a.Path, b.Path), a.Line-b.Line) })
	return r
}
