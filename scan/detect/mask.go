package detect

import (
	"regexp"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// What is masked although it may be no credential: passwords in addresses, and what follows the name of a secret in a command.
var (
	inAddress = lazy.Regexp(`//?[^/\s@:'"]*:([^/\s'"]+)@`)
	afterName = lazy.Regexp(`(?i)(?:passw(?:or)?d|passphrase|token|secret|pwd|api_?-?key|[_-]pw|[_-]pass|[_-]auth|credential|private_?key|access_?key)[a-z0-9_.-]*["']?(?:=|:[ \t]?|[ \t]+)["']?([^\s"'|;]{3,})`)
	assigned  = lazy.Regexp(`(?i)^(?:/bin/sh -c )?(?:#\(nop\) *)?(?:ENV|ARG|LABEL) +["']?[a-z0-9_.-]*(?:pass|token|secret|pwd|_pw|key|cred|auth)[a-z0-9_.-]*["']?[= ](.+)$`)
	mounts    = lazy.Regexp(`^(/run/secrets/|\$|type=|id=|--)`)
)

// Mask is a text without the credentials that Find would find in it, each of them as often as it occurs, and without passwords in
// addresses.
func (d *Detector) Mask(text string) string {
	if len(text) < 4 {
		return text
	}
	m := masker{text: text, hide: make([]bool, len(text))}
	for _, kind := range []Kind{Command, Setting} {
		s := search{d: d, content: Content{Data: []byte(text), Kind: kind}, everything: true}
		s.run()
		for _, found := range s.found {
			m.mark(found.Start, found.End)
			m.markCopies(text[found.Start:found.End])
		}
	}
	m.markAll(inAddress())
	return m.String()
}

// MaskCommand is Mask for what a shell or a builder was told. It masks more than that: whatever follows the name of a secret, and what looks as if
// it was made by chance.
func (d *Detector) MaskCommand(text string) string {
	m := masker{text: text, hide: make([]bool, len(text))}
	m.markAll(afterName())
	m.markAll(assigned())
	return maskRandom(d.Mask(m.String()))
}

// masker collects which bytes of a text are not to be shown.
type masker struct {
	text string
	hide []bool
}

// minCopied is how many bytes of a value tell it from words.
const minCopied = 8

// markCopies marks a value wherever else it is.
func (m *masker) markCopies(value string) {
	if len(value) < minCopied {
		return
	}
	for at := 0; ; at += len(value) {
		n := strings.Index(m.text[at:], value)
		if n < 0 {
			return
		}
		at += n
		m.mark(at, at+len(value))
	}
}

func (m *masker) mark(start, end int) {
	for i := start; i < end; i++ {
		m.hide[i] = true
	}
}

// markAll marks the first group of each match, unless it only says where a secret is mounted.
func (m *masker) markAll(re *regexp.Regexp) {
	for _, at := range re.FindAllStringSubmatchIndex(m.text, -1) {
		if !mounts().MatchString(m.text[at[2]:at[3]]) {
			m.mark(at[2], at[3])
		}
	}
}

func (m *masker) String() string {
	var b strings.Builder
	for i := range len(m.text) {
		switch {
		case !m.hide[i]:
			b.WriteByte(m.text[i])
		case i == 0 || !m.hide[i-1]:
			b.WriteString("***")
		}
	}
	return b.String()
}

// randomWord is a run of characters in a command that may have been made by chance. Digests have a sign in front that says so.
var randomWord = lazy.Regexp(`(?:(?:sha256|sha512|file|dir|multi):)?[A-Za-z0-9+/_.!*-]{16,}={0,2}`)

// maskRandom is a text without what looks as if it was made by chance.
func maskRandom(text string) string {
	return randomWord().ReplaceAllStringFunc(text, func(w string) string {
		if strings.Contains(w, ":") || strings.Count(w, "/") > 1 || isHex(w) && len(w) >= 40 || !random(w, true) || harmlessValue(w) {
			return w
		}
		return "***"
	})
}
