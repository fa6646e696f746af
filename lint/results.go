package lint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/scan/detect"
)

// results are the findings of a Dockerfile, now that it is known what is a secret.
func (c *checker) results() []finding.Leak {
	var out []finding.Leak
	seen := map[string]bool{}
	for i := range c.found {
		f := &c.found[i]
		if f.from != nil && !c.sure(f.from) {
			continue
		}
		key := fmt.Sprintf("%s %d %s", f.rule.ID, f.at.line, f.key)
		if !seen[key] {
			seen[key] = true
			out = append(out, c.leak(f))
		}
	}
	slices.SortStableFunc(out, func(a, b finding.Leak) int { return a.Line - b.Line })
	return out
}

// leak makes the finding.
func (c *checker) leak(f *found) finding.Leak {
	rule := f.rule
	if f.origin != nil && f.origin.removed > 0 && rule == copiedCredential {
		rule = copiedThenRemoved
	}
	l := finding.Leak{
		Rule: rule.ID, Title: rule.Title, Severity: rule.Severity, Where: "dockerfile", Path: c.name,
		Line: f.at.line, Column: f.at.column, Width: f.at.width, Key: c.det.Mask(c.named(f.key)), Detail: c.named(f.detail()), Fix: rule.Fix,
	}
	if f.severity != "" {
		l.Severity = f.severity
	}
	if f.stage >= 0 && !c.reached[f.stage] && l.Severity.AtLeast(finding.Medium) && rule != secretInLog && rule != secretTraced && f.from != nil {
		l.Severity = finding.Low
		l.Detail += fmt.Sprintf(" The stage %s is no part of the final image: it is in the build cache, and in provenance with mode=max.", c.stageName(f.stage))
	}
	if !c.child {
		l.Ignored = c.ignored(rule, f.at.line)
	}
	if !c.child && !c.bare {
		c.quote(&l)
	}
	return l
}

func (c *checker) stageName(i int) string {
	if name := c.file.Stages()[i].Name; name != "" {
		return name
	}
	return fmt.Sprint(i)
}

// named is a text with the names of variables instead of stand-ins.
func (c *checker) named(s string) string {
	if strings.Contains(s, standIn) {
		for n, o := range c.origins {
			s = strings.ReplaceAll(s, standInOf(n), "$"+o.name)
		}
	}
	return s
}

// quote has the line of a finding in it, masked.
func (c *checker) quote(l *finding.Leak) {
	l.Source = &finding.Source{File: l.Path, Line: l.Line}
	raw := c.file.Raw(l.Line)
	masked, ok := c.masked[l.Line]
	if !ok {
		if c.masked == nil {
			c.masked = map[int]string{}
		}
		masked = c.det.MaskCommand(raw)
		c.masked[l.Line] = masked
	}
	quote(l, raw, masked)
}

// quote puts a masked line into a finding. The place in it moves along, or is dropped.
func quote(l *finding.Leak, raw, masked string) {
	l.Source.Text = masked
	if masked == raw || l.Column == 0 {
		return
	}
	start := min(l.Column-1, len(raw))
	end := min(start+l.Width, len(raw))
	switch {
	case strings.HasPrefix(masked, raw[:end]):
	case strings.HasPrefix(masked, raw[:start]):
		l.Width = max(min(l.Width, len(masked)-start), 0)
		if strings.HasPrefix(masked[start:], "***") {
			l.Width = len("***")
		}
	default:
		l.Column, l.Width = 0, 0
	}
}

// ignored is the reason why a finding does not count: a comment above its line or its instruction, or BuildKit's own directive.
func (c *checker) ignored(rule *detect.Rule, line int) string {
	now := time.Now()
	for _, n := range []int{line, c.file.Start(line)} {
		for above := n - 1; above > 0 && strings.HasPrefix(c.file.Line(above), "#"); above-- {
			if why := finding.Ignored(c.file.Line(above), rule.ID, now); why != "" {
				return c.det.Mask(why)
			}
		}
	}
	if c.skipped == nil {
		c.skipped = append(c.skips(), "")
	}
	for _, check := range c.skipped {
		for name, rules := range skippedBy {
			if (strings.EqualFold(check, name) || strings.EqualFold(check, "all")) && slices.Contains(rules, rule) {
				return "check=skip=" + check
			}
		}
	}
	return ""
}

// skips are the checks that a "check" directive turns off.
func (c *checker) skips() []string {
	value, _, _, _ := parser.ParseDirective("check", []byte(c.file.Whole().Text))
	for _, option := range strings.Split(value, ";") {
		if list, ok := strings.CutPrefix(strings.TrimSpace(option), "skip="); ok {
			return strings.Split(strings.ReplaceAll(list, " ", ""), ",")
		}
	}
	return nil
}

// number gives findings their fingerprints: they stay when lines move.
func number(list []finding.Leak) {
	times := map[string]int{}
	for i := range list {
		l := &list[i]
		id := strings.Join([]string{l.Rule, l.Where, l.Path, l.Key}, "\x00")
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", id, times[id]))
		times[id]++
		l.Fingerprint = hex.EncodeToString(sum[:8])
	}
}

// lineOf is a line of a text, counted from 1, without its end.
func lineOf(text []byte, n int) string {
	for ; n > 1; n-- {
		_, rest, ok := bytes.Cut(text, []byte("\n"))
		if !ok {
			return ""
		}
		text = rest
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}
