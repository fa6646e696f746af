package leaks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/scan/detect"
)

// inlineIgnore is the reason why a match does not count, as a comment beside it says.
func inlineIgnore(data []byte, m detect.Match) string {
	start := bytes.LastIndexByte(data[:m.Start], '\n')
	if start > 0 {
		start = bytes.LastIndexByte(data[:start], '\n')
	}
	end := bytes.IndexByte(data[m.End:], '\n')
	if end < 0 {
		end = len(data) - m.End
	}
	near := data[max(start, m.Start-1000, 0):min(m.End+end, m.End+1000)]
	return clip(finding.Ignored(string(near), m.Rule.ID, time.Now()))
}

// Ignores are findings that do not count, each with the reason and, if wanted, a day from which on they do.
type Ignores struct{ rows []ignore }

type ignore struct {
	rule, pattern, fingerprint string
	until, why                 string
}

// ParseIgnores reads a list of ignores, one in each line: what, until when, and why.
//
//	generic-secret:usr/share/app/*  2027-01-31  test data of the vendor
//	3f2a9c0d1e4b5a67                -           rotated, the layer goes with the next release
//
// What is a rule and a pattern of path.Match for the path in the image, a rule alone, or a fingerprint. Lines that are empty or start
// with # are comments.
func ParseIgnores(r io.Reader) (*Ignores, error) {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, err
	}
	var out Ignores
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("line %d: write what to ignore, until when (a day like 2027-01-31, or -), and why", n+1)
		}
		i := ignore{until: strings.TrimPrefix(fields[1], "-"), why: strings.Join(fields[2:], " ")}
		if _, err := time.Parse(time.DateOnly, i.until); i.until != "" && err != nil {
			return nil, fmt.Errorf("line %d: %q is no day like 2027-01-31", n+1, i.until)
		}
		if fingerprintShape().MatchString(fields[0]) {
			i.fingerprint = fields[0]
		} else {
			i.rule, i.pattern, _ = strings.Cut(fields[0], ":")
			if _, err := path.Match(i.pattern, ""); err != nil {
				return nil, fmt.Errorf("line %d: the pattern %q: %w", n+1, i.pattern, err)
			}
		}
		out.rows = append(out.rows, i)
	}
	return &out, nil
}

var fingerprintShape = lazy.Regexp(`^[0-9a-f]{16}$`)

// ParseBaseline makes ignores of a report of an earlier scan, one object or a list of them.
func ParseBaseline(r io.Reader) (*Ignores, error) {
	type report struct {
		Findings *[]struct {
			Fingerprint string `json:"fingerprint"`
		} `json:"findings"`
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var one report
	many := []report{}
	if err := json.Unmarshal(text, &one); err == nil {
		many = append(many, one)
	} else if err := json.Unmarshal(text, &many); err != nil {
		return nil, fmt.Errorf("it is no report of tightlip scan --format json: %w", err)
	}
	var out Ignores
	for _, m := range many {
		if m.Findings == nil {
			return nil, errors.New("it is no report of tightlip scan --format json: it has no findings, not even none")
		}
		for _, f := range *m.Findings {
			out.rows = append(out.rows, ignore{fingerprint: f.Fingerprint, why: "in the baseline"})
		}
	}
	return &out, nil
}

// Apply notes for each finding whether it is to be ignored. Nil ignores nothing.
func (i *Ignores) Apply(list []finding.Leak, now time.Time) {
	if i == nil {
		return
	}
	for at := range list {
		for _, row := range i.rows {
			if list[at].Ignored == "" && row.covers(list[at]) && !finding.Expired(row.until, now) {
				list[at].Ignored = row.why
			}
		}
	}
}

func (i ignore) covers(f finding.Leak) bool {
	if i.fingerprint != "" {
		return i.fingerprint == f.Fingerprint
	}
	if i.rule != "*" && i.rule != f.Rule {
		return false
	}
	ok, _ := path.Match(i.pattern, f.Path)
	return ok || i.pattern == ""
}
