package lint

import (
	"fmt"
	"strings"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/caller"
	"github.com/tightlip/tightlip/scan/detect"
)

// callerFindings are the secrets that files which start builds give as arguments.
func (p *project) callerFindings() []finding.Leak {
	var out []finding.Leak
	seen := map[string]bool{}
	for _, b := range p.builds {
		var given []string
		for _, a := range b.Args {
			why := p.secretArgument(b, a)
			if why == "" {
				continue
			}
			given = append(given, a.Name)
			if at := fmt.Sprint(b.File, a.Line, a.Column, a.Name); seen[at] {
				continue
			} else {
				seen[at] = true
			}
			detail := fmt.Sprintf("%s is given to the build as an argument: %s.", a.Name, why)
			out = append(out, p.callerLeak(b, callerSecretArg, place{a.Line, a.Column, a.Width}, a.Name, detail+p.declared(b, a.Name)))
		}
		if len(given) > 0 && b.Published != "" {
			detail := fmt.Sprintf("%s has the values of %s.", capital(b.Published), strings.Join(given, ", "))
			out = append(out, p.callerLeak(b, callerProvenance, place{b.PublishedLine, 0, 0}, strings.Join(given, ","), detail))
		}
	}
	return out
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// secretArgument says why an argument is a secret; "" if it is none.
func (p *project) secretArgument(b *caller.Build, a caller.Arg) string {
	det := p.options.Detector
	literal := func() bool {
		c := &checker{det: det}
		_, ok := c.setting(a.Name, a.Literal)
		return ok
	}
	switch {
	case a.From != "":
		return "it is filled from " + a.From
	case a.Literal != "" && literal():
		return "its value is written here"
	case detect.SecretName(a.Name) && a.Literal == "":
		return "its name says that it is a secret"
	case a.Literal != "" && (detect.Placeholder(a.Literal) || harmless(a.Literal)):
		return ""
	}
	for _, r := range p.results {
		if _, ok := buildOf(b, r.path); r.checker == nil || !ok && !(b.Inline != "" && r.path == b.File) {
			continue
		}
		for _, o := range r.checker.origins {
			if o.kind == fromArg && o.name == a.Name && o.sure {
				return fmt.Sprintf("%s: %s", r.path, o.why)
			}
		}
	}
	return ""
}

// declared names the ARG that takes an argument.
func (p *project) declared(b *caller.Build, name string) string {
	for _, r := range p.results {
		if _, ok := buildOf(b, r.path); r.checker == nil || !ok {
			continue
		}
		for _, o := range r.checker.origins {
			if o.kind == fromArg && o.name == name {
				return fmt.Sprintf(" %s:%d takes it.", r.path, o.at.line)
			}
		}
	}
	return ""
}

// instead is what a line says that an argument is if nothing else gives it a value: ${X:-value}, X || 'value', X ? X : "value".
var instead = lazy.Regexp(`(:?-|\|\|\s*['"]?|[?:]\s*")([^\s"'}*]{4,})`)

func withoutDefaults(line string) string {
	if !strings.ContainsAny(line, "$?|") {
		return line
	}
	return instead().ReplaceAllString(line, "$1***")
}

// callerLeak makes a finding in a file that starts builds.
func (p *project) callerLeak(b *caller.Build, rule *detect.Rule, at place, key, detail string) finding.Leak {
	det := p.options.Detector
	l := finding.Leak{
		Rule: rule.ID, Title: rule.Title, Severity: rule.Severity, Where: b.Kind, Path: b.File, Line: at.line, Column: at.column, Width: at.width,
		Key: key, Detail: det.Mask(detail), Fix: rule.Fix, Source: &finding.Source{File: b.File, Line: at.line},
	}
	text := p.sources[b.File]
	raw := lineOf(text, at.line)
	quote(&l, raw, withoutDefaults(det.MaskCommand(raw)))
	for n := at.line; n > 0 && n >= at.line-1; n-- {
		if line := lineOf(text, n); n == at.line || strings.HasPrefix(strings.TrimSpace(line), "#") || strings.HasPrefix(strings.TrimSpace(line), "//") {
			if why := finding.Ignored(line, rule.ID, time.Now()); why != "" {
				l.Ignored = det.Mask(why)
			}
		}
	}
	return l
}
