package lint

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint/edit"
)

// fixes works out how files would have to change, and notes which findings that mends.
//
// A fix is tried on the text and checked again: it counts only if there are fewer findings then, and no new one.
func (p *project) fixes(r *Result) {
	f := &fixer{project: p, result: r, changed: map[string][]byte{}, of: map[string][]*finding.Leak{}}
	for i := range r.Findings {
		l := &r.Findings[i]
		f.of[l.Path] = append(f.of[l.Path], l)
	}
	for i := range p.results {
		if file := &p.results[i]; file.checker != nil && !file.repaired && p.sources[file.path] == nil {
			f.mend(file)
		}
	}
	for i := range p.results {
		f.ignoreMore(&p.results[i])
	}
	for _, name := range slices.Sorted(maps.Keys(f.changed)) {
		before := p.texts[name]
		if !bytes.Equal(before, f.changed[name]) {
			r.Fixes = append(r.Fixes, Fix{Path: name, Before: before, After: f.changed[name]})
		}
	}
}

// fixer collects the changes of a project's files.
type fixer struct {
	project *project
	result  *Result
	changed map[string][]byte
	of      map[string][]*finding.Leak // the findings of each file
}

// text is a file as it is, or as it will be.
func (f *fixer) text(name string) []byte {
	if text, ok := f.changed[name]; ok {
		return text
	}
	return f.project.texts[name]
}

// mend changes a Dockerfile, and with it the files that build it.
func (f *fixer) mend(file *fileResult) {
	file.ignore(f.of[file.path])
	m := &mender{fixer: f, checker: file.checker, leaks: file.leaks, text: []byte(file.checker.file.Whole().Text)}
	m.mend()
	if !m.changed {
		return
	}
	f.changed[file.path] = m.text
	maps.Copy(f.changed, m.callers)
	if len(m.given) > 0 {
		f.result.Hints = append(f.result.Hints, "docker build"+strings.Join(m.given, "")+" -f "+f.fromHere(file.path)+" …")
	}
	if len(m.taken) > 0 {
		f.result.Hints = append(f.result.Hints, "docker run"+strings.Join(m.taken, "")+" …   # what ENV gave containers before")
	}
	left := map[string]int{}
	for _, l := range m.leaks {
		left[kindOf(&l)]++
	}
	for _, l := range f.of[file.path] {
		if left[kindOf(l)]--; left[kindOf(l)] < 0 {
			l.Fixable = true
		}
	}
	for name := range m.callers {
		for _, l := range f.of[name] {
			switch l.Rule {
			case callerSecretArg.ID:
				l.Fixable = l.Fixable || slices.Contains(m.moved, l.Key)
			case callerProvenance.ID:
				l.Fixable = l.Fixable || containsAll(m.moved, strings.Split(l.Key, ","))
			}
		}
	}
}

// kindOf is what stays the same of a finding when lines move.
func kindOf(l *finding.Leak) string { return l.Rule + "\x00" + l.Key }

// fromHere is a path of the project as it is from the working directory.
func (f *fixer) fromHere(name string) string {
	return filepath.ToSlash(filepath.Join(f.project.options.Root, filepath.FromSlash(name)))
}

// ignore marks the findings of a Dockerfile as they are marked in the list of all.
func (f *fileResult) ignore(all []*finding.Leak) {
	why := map[string]string{}
	for _, l := range all {
		if l.Ignored != "" {
			why[fmt.Sprint(l.Line, kindOf(l))] = l.Ignored
		}
	}
	for i := range f.leaks {
		l := &f.leaks[i]
		if reason := why[fmt.Sprint(l.Line, kindOf(l))]; reason != "" {
			l.Ignored = reason
		}
	}
}

// ignoreMore has .dockerignore leave out what COPY . . would bring, unless something else in the context's builds asks for it.
func (f *fixer) ignoreMore(file *fileResult) {
	if file.checker == nil || file.checker.context == nil {
		return
	}
	ignoreFile := file.checker.context.ignoreFile
	for _, l := range f.of[file.path] {
		if l.Rule != contextCredential.ID || l.Ignored != "" || ignoreFile == "" || strings.ContainsAny(l.Key, "*?[\\\n\r! #") || f.asksFor(ignoreFile, l.Key) {
			continue
		}
		f.changed[ignoreFile] = withLine(f.text(ignoreFile), l.Key)
		l.Fixable = true
	}
}

// asksFor tells whether a Dockerfile with the same ignore file names a file of the context, be it for COPY, a mount or a RUN, or whether nothing
// of what it copies would be left.
func (f *fixer) asksFor(ignoreFile, name string) bool {
	for _, r := range f.project.results {
		c := r.checker
		if c == nil || c.context == nil || c.context.ignoreFile != ignoreFile {
			continue
		}
		for _, source := range c.sources {
			if left := c.context.below(source); source == name || len(left) == 1 && left[0] == name {
				return true
			}
		}
		for _, s := range c.steps {
			if strings.Contains(s.body.Text, path.Base(name)) || s.looksFor(path.Base(name)) {
				return true
			}
		}
	}
	return false
}

// looksFor tells whether a RUN may read a file of the working directory by itself: package managers read their settings, and builds of web
// applications .env.
func (s *runStep) looksFor(name string) bool {
	switch {
	case strings.HasPrefix(name, ".env"):
		return slices.ContainsFunc([]string{"build", "compile", "collectstatic", "artisan", "generate", "make"}, func(w string) bool { return strings.Contains(s.code.Text, w) })
	case slices.Contains([]string{".npmrc", ".yarnrc", ".yarnrc.yml", ".netrc", ".pypirc", "pip.conf", "auth.json", "gradle.properties", "settings.xml", "NuGet.Config", "nuget.config", "bunfig.toml", ".condarc"}, name):
		return s.mayUse(name, s.code.Text)
	}
	return false
}

func containsAll(list, of []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(list, s) })
}

// withLine is a text with one more line, unless it has it.
func withLine(text []byte, line string) []byte {
	for l := range strings.Lines(string(text)) {
		if strings.TrimSpace(l) == line {
			return text
		}
	}
	end := edit.Newline(text)
	out := slices.Clone(text)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, end...)
	}
	return append(out, line+end...)
}
