package detect

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/tightlip/tightlip/finding"
)

// Most shapes are those of gitleaks 8.30 (https://github.com/gitleaks/gitleaks, MIT licence, copyright 2019 Zachary Rice). Left out
// are its rules that look for a service's name next to any random string, corrected those that are wrong or loose; newer
// shapes are from the issuers' documentation.

// token is a rule for credentials that are known by their shape.
type token struct {
	Rule
	anchors []string // of 4 bytes or more; each match has one of them lead bytes after its start
	lead    int
	pattern string   // RE2 that a match starts with; its first group is the value, if it has one
	inWord  bool     // it is found in the middle of a word, too: nothing else looks like it
	near    []string // words in small letters; it is one only near one of them, in any case
	reach   int      // how many bytes of text the pattern sees; 0: 1 KiB

	// match finds the value whose anchor is at the place, instead of a pattern.
	match func(text []byte, at int) (start, end int, ok bool)
	// check is of checksums and the like; nil: plausible.
	check func(value []byte) bool
	// sample makes a well-formed one, for tests: none is written down anywhere.
	sample func(r *rand.Rand) string
	not    []string // what looks like it and is none

	shape func() *shape // the pattern, compiled at its first use
	quick bool          // looking at an anchor takes next to nothing
}

// shapeTokens are known by their shape alone, the others by what stands around them.
var shapeTokens = compiled(slices.Concat(codeTokens, cloudTokens, modelTokens, serviceTokens, moneyTokens, jwtTokens))

var tokens = slices.Concat(shapeTokens, compiled(quick(contextTokens)))

func compiled(list []token) []token {
	for i := range list {
		pattern := list[i].pattern
		list[i].shape = sync.OnceValue(func() *shape { return newShape(pattern) })
	}
	return list
}

func quick(list []token) []token {
	for i := range list {
		list[i].quick = true
	}
	return list
}

// costly tells whether looking at an anchor took long, although it led to nothing.
func (t *token) costly(text []byte, at int) bool {
	if t.match != nil {
		return !t.quick
	}
	return at >= t.lead && t.shape().begins(text[at-t.lead:])
}

// nearness is how far from a match, in bytes, a word may be that it needs.
const nearness = 256

// at looks for a token whose anchor is at the given place of text, and tells where its value is. The words that it needs may also be
// in the name of the file.
func (t *token) at(name string, text []byte, at int) (start, end int, ok bool) {
	if t.match != nil {
		return t.match(text, at)
	}
	first := at - t.lead
	s := t.shape()
	if first < 0 || !s.begins(text[first:]) {
		return 0, 0, false
	}
	reach := t.reach
	if reach == 0 {
		reach = 1 << 10
	}
	loc := s.re.FindSubmatchIndex(text[first:min(len(text), first+reach)])
	if loc == nil {
		return 0, 0, false
	}
	start, end = first+loc[0], first+loc[1]
	if !t.inWord && !alone(text, start, end) || t.near != nil && !anyNear(text, start, end, t.near) && !hasAny(name, t.near) {
		return 0, 0, false
	}
	if len(loc) > 2 && loc[2] >= 0 {
		start, end = first+loc[2], first+loc[3]
	}
	if t.check != nil {
		return start, end, t.check(text[start:end])
	}
	return start, end, plausible(string(text[start:end]))
}

// known tells whether one of the tokens that are known by their shape starts at a place.
func known(text []byte, at int) bool {
	for i := range shapeTokens {
		t := &shapeTokens[i]
		for _, anchor := range t.anchors {
			if t.lead == 0 && bytes.HasPrefix(text[at:], []byte(anchor)) {
				if start, _, ok := t.at("", text, at); ok && start == at {
					return true
				}
			}
		}
	}
	return false
}

// alone tells whether text[start:end] is not a part of a word. In binary formats such as Python's bytecode and protocol buffers
// there may be letters on both sides: its length stands before it.
func alone(text []byte, start, end int) bool {
	if !wordBefore(text, start) && !wordAfter(text, end) {
		return true
	}
	return start > 0 && int(text[start-1]) == end-start
}

func wordAfter(text []byte, end int) bool {
	return end < len(text) && (isAlnum(text[end]) || text[end] == '_' || text[end] == '-')
}

func wordBefore(text []byte, start int) bool {
	if start == 0 {
		return false
	}
	c := text[start-1]
	return c == '_' || isAlnum(c) && !escaped(text, start)
}

// escaped tells whether what stands before a place is a sign in an escaped form: \n, %3D, \u003d, \x1b[0m.
func escaped(text []byte, start int) bool {
	before := func(n int) byte {
		if start < n {
			return 0
		}
		return text[start-n]
	}
	isHexByte := func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
	switch {
	case before(2) == '\\' && strings.IndexByte("nrtbfv0", before(1)) >= 0:
		return true
	case before(1) == 'm':
		return bytes.HasSuffix(bytes.TrimRight(text[max(0, start-12):start-1], "0123456789;"), []byte("["))
	case !isHexByte(before(1)):
		return false
	case before(3) == '%' && isHexByte(before(2)):
		return true
	case before(4) == '\\' && before(3) == 'x' && isHexByte(before(2)):
		return true
	}
	return before(6) == '\\' && before(5) == 'u' && before(4) == '0' && before(3) == '0'
}

func anyNear(text []byte, start, end int, words []string) bool {
	return hasAny(string(text[max(0, start-nearness):min(len(text), end+nearness)]), words)
}

// hasAny tells whether one of several words in small letters is in a text.
func hasAny(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// shape is a pattern ready for use.
type shape struct {
	re    *regexp.Regexp
	first []byteSet // what the first bytes of a match may be: most anchors are found in something else
}

// byteSet is a set of bytes, a bit for each.
type byteSet [4]uint64

func (b *byteSet) add(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *byteSet) has(c byte) bool { return b[c>>6]&(1<<(c&63)) != 0 }

func newShape(pattern string) *shape {
	return &shape{re: regexp.MustCompile(`^(?:` + pattern + `)`), first: firstBytes(pattern)}
}

func (s *shape) begins(text []byte) bool {
	if len(text) < len(s.first) {
		return false
	}
	for i := range s.first {
		if !s.first[i].has(text[i]) {
			return false
		}
	}
	return true
}

// maxFirst is how many bytes of a pattern are compared before it is run.
const maxFirst = 24

// firstBytes are the bytes that all matches of a pattern start with, as far as they have as many.
func firstBytes(pattern string) []byteSet {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		panic(err)
	}
	var out []byteSet
	states := []uint32{uint32(prog.Start)}
	for range maxFirst {
		var set byteSet
		var next []uint32
		seen := map[uint32]bool{}
		for len(states) > 0 {
			pc := states[len(states)-1]
			states = states[:len(states)-1]
			if seen[pc] {
				continue
			}
			seen[pc] = true
			inst := &prog.Inst[pc]
			switch inst.Op {
			case syntax.InstMatch:
				return out
			case syntax.InstAlt, syntax.InstAltMatch:
				states = append(states, inst.Out, inst.Arg)
			case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
				states = append(states, inst.Out)
			case syntax.InstFail:
			default:
				if inst.MatchRune(0x80) { // a byte is not a character there
					return out
				}
				for c := range byte(0x80) {
					if inst.MatchRune(rune(c)) {
						set.add(c)
					}
				}
				next = append(next, inst.Out)
			}
		}
		out, states = append(out, set), next
	}
	return out
}

// expand makes anchors of a prefix that is too short for one, by each character that may follow. A class is written as in a
// regular expression, without brackets.
func expand(prefix, class string) []string {
	var out []string
	for _, c := range charsOf(class) {
		out = append(out, prefix+string(c))
	}
	return out
}

// charsOf lists the characters of a class such as "a-z0-9_".
func charsOf(class string) []byte {
	var out []byte
	for i := 0; i < len(class); i++ {
		if i+2 < len(class) && class[i+1] == '-' {
			for c := int(class[i]); c <= int(class[i+2]); c++ {
				out = append(out, byte(c))
			}
			i += 2
			continue
		}
		out = append(out, class[i])
	}
	return out
}

// uuid is a part of many patterns.
const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

func critical(id, title, why string) Rule {
	return Rule{ID: id, Title: title, Severity: finding.Critical, Why: why}
}
func high(id, title, why string) Rule {
	return Rule{ID: id, Title: title, Severity: finding.High, Why: why}
}
func medium(id, title, why string) Rule {
	return Rule{ID: id, Title: title, Severity: finding.Medium, Why: why}
}
func low(id, title, why string) Rule {
	return Rule{ID: id, Title: title, Severity: finding.Low, Why: why}
}
