package detect

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"github.com/tightlip/tightlip/finding"
	"go.yaml.in/yaml/v3"
)

// UserRule is a rule of the user's own: a pattern in the line of a keyword.
type UserRule struct {
	Rule
	keywords []string
	pattern  *regexp.Regexp
}

// ParseRules reads rules from YAML: a list under "rules", each with id, title, severity, keywords, pattern, why, fix, match and
// no_match. All examples are tried. Errors name the rule.
func ParseRules(text []byte) ([]UserRule, error) {
	var file struct {
		Rules []struct {
			ID, Title, Severity, Why, Fix, Pattern string
			Keywords, Match                        []string
			NoMatch                                []string `yaml:"no_match"`
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	var out []UserRule
	for i, r := range file.Rules {
		fail := func(err error) error { return fmt.Errorf("rule %d %q: %w", i+1, r.ID, err) }
		severity, err := finding.ParseSeverity(r.Severity)
		if err != nil {
			return nil, fail(err)
		}
		pattern, err := regexp.Compile(r.Pattern)
		if err != nil {
			return nil, fail(err)
		}
		u := UserRule{Rule{r.ID, r.Title, severity, r.Why, r.Fix}, r.Keywords, pattern}
		if err := u.check(r.Match, r.NoMatch); err != nil {
			return nil, fail(err)
		}
		out = append(out, u)
	}
	return out, nil
}

// check tries the rule on its examples.
func (u *UserRule) check(match, noMatch []string) error {
	if u.ID == "" || u.Title == "" || len(u.keywords) == 0 || len(match) == 0 || len(noMatch) == 0 {
		return errors.New("it needs an id, a title, keywords, and examples in match and no_match")
	}
	for _, k := range u.keywords {
		if len(k) < literalWindow {
			return fmt.Errorf("the keyword %q has fewer than %d bytes", k, literalWindow)
		}
	}
	d := newDetector(nil, []UserRule{*u}, nil, nil)
	for _, text := range match {
		if len(d.Find(Content{Data: []byte(text)})) == 0 {
			return fmt.Errorf("it does not find its example %q", text)
		}
	}
	for _, text := range noMatch {
		if len(d.Find(Content{Data: []byte(text)})) > 0 {
			return fmt.Errorf("it finds %q, which is under no_match", text)
		}
	}
	return nil
}

// maxLine is how many bytes of a line on each side of a keyword a pattern sees.
const maxLine = 4 << 10

// at finds the value in the line of a keyword.
func (u *UserRule) at(text []byte, at int) (start, end int, ok bool) {
	lo, hi := max(0, at-maxLine), min(len(text), at+maxLine)
	if i := bytes.LastIndexByte(text[lo:at], '\n'); i >= 0 {
		lo += i + 1
	}
	if i := bytes.IndexByte(text[at:hi], '\n'); i >= 0 {
		hi = at + i
	}
	m := u.pattern.FindSubmatchIndex(text[lo:hi])
	if m == nil {
		return 0, 0, false
	}
	if len(m) > 2 && m[2] >= 0 {
		return lo + m[2], lo + m[3], m[3] > m[2]
	}
	return lo + m[0], lo + m[1], m[1] > m[0]
}
