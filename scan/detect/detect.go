// Package detect finds credentials in text by their shape, by the file they are in, or by what they are assigned to.
//
// One search for literals decides what is looked at more closely (literals.go). Tokens have a shape of their own (tokens.go).
// Formats are the files that tools keep credentials in (formats.go): each is a row of a table over a few syntax
// readers, so that a password without any shape is found there. Whatever else is called a secret is judged by its name and by
// how random it is (assign.go).
package detect

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// Version changes whenever the rules find more or less than before. What was scanned with another version is scanned again.
const Version = "2"

// Rule says what one kind of credential is.
type Rule struct {
	ID       string // words in lower case with dashes, stable
	Title    string // what was found, such as "npm access token"
	Severity finding.Severity
	Why      string // who could do what with it; one or two sentences
	Fix      string // what to write instead, a Dockerfile snippet of a few lines; "" for the general one
}

// Match is a credential in a text.
type Match struct {
	Rule       *Rule
	Start, End int    // of the value in the text, in bytes; of its encoded form, if it is encoded
	Key        string // of the setting that holds it, such as "_authToken" or "auths.registry.corp.example.auth"
	Encoding   string // "", "base64", "utf-16"
	Hint       string // at most 4 characters of a value longer than 16

	Fix string // what to write instead, if the file it is in says more than the rule

	certainty int // which of two matches at one place stays
}

// Content is a text to look at.
type Content struct {
	Path string // of the file, with slashes and without one in front; "" if it has none
	Data []byte
	Kind Kind
	// Rest says that it is not the start of the file, so that its format cannot be read.
	Rest bool
}

// Kind says what a content is.
type Kind int

// The kinds.
const (
	File    Kind = iota
	Setting      // a name and its value, "NAME=value": of the environment, a label, a build argument
	Command      // what a shell was told
)

// How certain a match is by its origin.
const (
	byName = iota + 1
	byFormat
	byShape
	byUser
)

// Detector finds credentials. It is never changed after New and may be used by several goroutines.
type Detector struct {
	tokens   []token
	own      []UserRule
	seed     maphash.Seed
	ready    chan struct{} // closed when what follows is there
	literals *literals
	actions  []action // by number of the literal
}

// action is what the place of a literal asks for.
type action struct {
	token   *token
	own     *UserRule
	format  *format // its content may be of this format
	name    bool    // the name of a setting
	wrapped int     // base64: 1 + the place of its first character in a group of four
}

// New makes a Detector of all rules, and those of the user's own. It returns before it is ready: the first content waits for that.
func New(own ...UserRule) *Detector {
	return newDetector(tokens, own, formats, nameAnchors)
}

func newDetector(tokens []token, own []UserRule, formats []format, names []string) *Detector {
	d := &Detector{tokens: tokens, own: own, seed: maphash.MakeSeed(), ready: make(chan struct{})}
	go func() {
		defer close(d.ready)
		d.build(formats, names)
	}()
	return d
}

func (d *Detector) build(formats []format, names []string) {
	tokens, own := d.tokens, d.own
	var list []literal
	add := func(text string, fold bool, a action) {
		list, d.actions = append(list, literal{text, fold}), append(d.actions, a)
	}
	wrapped := make(map[string]bool, manyLiterals)
	list, d.actions = make([]literal, 0, manyLiterals), make([]action, 0, manyLiterals)
	wrap := func(text string) {
		for phase, form := range base64Forms(text) {
			if !wrapped[form] {
				wrapped[form] = true
				add(form, false, action{wrapped: 1 + phase})
			}
		}
	}
	for i := range tokens {
		for _, text := range tokens[i].anchors {
			add(text, false, action{token: &tokens[i]})
			wrap(text)
		}
	}
	for i := range own {
		for _, text := range own[i].keywords {
			add(text, false, action{own: &own[i]})
		}
	}
	for i := range formats {
		for _, text := range formats[i].marks {
			add(text, false, action{format: &formats[i]})
		}
	}
	wrap("-----BEGIN ")
	wrap(`"auths"`)
	for _, text := range names {
		add(text, true, action{name: true})
	}
	d.literals = newLiterals(list)
	d.actions = append(d.actions, action{wrapped: 1}) // of a blob
}

// manyLiterals is about how many there are.
const manyLiterals = 4 << 10

// Rules lists all rules by their ids.
func (d *Detector) Rules() []*Rule {
	out := []*Rule{&genericRule, &settingRule}
	for i := range d.tokens {
		out = append(out, &d.tokens[i].Rule)
	}
	for i := range d.own {
		out = append(out, &d.own[i].Rule)
	}
	out = append(out, formatRules()...)
	slices.SortFunc(out, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b *Rule) bool { return a.ID == b.ID })
}

// What is told of one content, and what is looked at for that, is bounded.
const (
	maxMatches  = 1000
	manyMatches = 16 * maxMatches
)

// maxNesting is how many encodings may be around a value.
const maxNesting = 2

// Find returns the credentials in a content, in the order of their places, each value once.
func (d *Detector) Find(c Content) []Match {
	found, _ := d.Search(c)
	return found
}

// Search is Find, and tells whether there may be more than it returns: a content that is full of credentials, or of what looks like
// them, is not searched to its end.
func (d *Detector) Search(c Content) (found []Match, more bool) { return d.search(c, 0) }

// search is Search for what is so many encodings deep.
func (d *Detector) search(c Content, depth int) (found []Match, more bool) {
	s := search{d: d, content: c, depth: depth}
	s.run()
	return s.settle(), s.more
}

func (s *search) run() {
	c := s.content
	<-s.d.ready
	s.spots = s.d.literals.find(c.Data, nil)
	if s.depth < maxNesting {
		s.blobs()
	}
	if c.Kind == Setting {
		s.setting()
	}
	s.formats()
	if len(s.spots) > 0 {
		slices.SortFunc(s.spots, func(a, b spot) int { return cmp.Or(a.at-b.at, a.id-b.id) })
		s.look()
	}
	if s.depth < maxNesting {
		s.wide()
	}
}

// search is one call of Detector.search.
type search struct {
	d       *Detector
	content Content
	depth   int
	spots   []spot
	found   []Match
	decoded int // end of what was decoded from base64 last
	named   int // end of the setting's name that was looked at last

	everything bool           // keep each match, however often its value occurs
	more       bool           // something was left out
	misses     map[*token]int // how often looking at an anchor took long and led to nothing
}

// maxMisses bounds how often the anchor of one token is looked at in vain: some take long, and a hostile file has nothing else.
const maxMisses = 4096

func (s *search) add(m Match, certainty int, value string) {
	if m.certainty == 0 {
		m.certainty = certainty
	}
	if m.certainty == byName || len(value) >= minPublished {
		if published(value) || m.Encoding != "" && published(string(s.content.Data[m.Start:m.End])) {
			return
		}
	}
	if m.Hint == "" {
		m.Hint = hint(value)
	}
	s.found = append(s.found, m)
}

// minPublished is from how many bytes on a published value in a place for credentials is no secret: somebody may have chosen a short one,
// too.
const minPublished = 20

// formats reads the content as what its path or a mark in it says it is.
func (s *search) formats() {
	if s.content.Kind != File || s.content.Rest {
		s.keys()
	}
	if s.content.Kind != File {
		return
	}
	var tried []*format // few files are of any
	try := func(f *format) {
		if !slices.Contains(tried, f) {
			tried = append(tried, f)
			f.find(s.content.Data, func(m Match) bool {
				s.add(m, byFormat, string(s.content.Data[m.Start:m.End]))
				return !s.full(manyMatches)
			})
		}
	}
	for _, f := range formatsFor(withoutBackup(s.content.Path)) {
		try(f)
	}
	for _, at := range s.spots {
		if f := s.d.actions[at.id].format; f != nil {
			try(f)
		}
	}
}

// keys looks for private keys where the format of a file says nothing.
func (s *search) keys() {
	if bytes.Contains(s.content.Data, []byte("-----BEGIN ")) {
		pemKeys(s.content.Data, func(m Match) bool {
			s.add(m, byShape, string(s.content.Data[m.Start:m.End]))
			return !s.full(maxMatches)
		})
	}
}

// full tells whether there are as many matches as are looked for, and notes that there may be more.
func (s *search) full(limit int) bool {
	if s.everything || len(s.found) < limit {
		return false
	}
	s.more = true
	return true
}

// withoutBackup is what a file was called before an editor or a cautious person kept a copy of it.
func withoutBackup(path string) string {
	for _, ending := range []string{"~", ".swp", ".swo", ".bak", ".old", ".orig", ".save", ".backup", ".dpkg-old", ".dpkg-dist", ".rpmsave", ".tmp", ".copy"} {
		if rest, ok := strings.CutSuffix(path, ending); ok {
			return rest
		}
	}
	return path
}

// look looks more closely at the places of literals.
func (s *search) look() {
	text := s.content.Data
	for _, at := range s.spots {
		if s.full(manyMatches) {
			return
		}
		a := s.d.actions[at.id]
		switch {
		case a.token != nil:
			s.token(a.token, at.at)
		case a.own != nil:
			if start, end, ok := a.own.at(text, at.at); ok {
				s.add(Match{Rule: &a.own.Rule, Start: start, End: end}, byUser, string(text[start:end]))
			}
		case a.name:
			s.name(at.at)
		case a.wrapped > 0 && at.at >= s.decoded && s.depth < maxNesting:
			s.unwrap(at.at, a.wrapped-1)
		}
	}
}

// token looks for a token at one of its anchors.
func (s *search) token(t *token, at int) {
	if s.misses[t] >= maxMisses {
		s.more = true
		return
	}
	_, name := splitPath(s.content.Path)
	start, end, ok := t.at(name, s.content.Data, at)
	if !ok && t.costly(s.content.Data, at) {
		if s.misses == nil {
			s.misses = map[*token]int{}
		}
		s.misses[t]++
	}
	if !ok {
		return
	}
	s.add(Match{Rule: &t.Rule, Start: start, End: end}, byShape, string(s.content.Data[start:end]))
}

// settle keeps the most certain of the matches at one place, and each value once.
func (s *search) settle() []Match {
	if len(s.found) == 0 {
		return nil
	}
	slices.SortStableFunc(s.found, func(a, b Match) int {
		return cmp.Or(b.certainty-a.certainty, a.Start-b.Start, (b.End-b.Start)-(a.End-a.Start))
	})
	s.dropVectors()
	type value struct {
		rule *Rule
		hash uint64
	}
	seen := map[value]bool{}
	var out []Match
	for _, m := range s.found {
		v := value{m.Rule, maphash.Bytes(s.d.seed, s.content.Data[m.Start:m.End])}
		if i := slices.IndexFunc(out, func(o Match) bool { return m.Start < o.End && o.Start < m.End }); i >= 0 {
			if out[i].Key == "" {
				out[i].Key = m.Key
			}
			if out[i].Rule.Fix == "" && m.Rule.Fix != "" {
				out[i].Fix = m.Rule.Fix
			}
			continue
		}
		if seen[v] {
			continue
		}
		if len(out) == maxMatches {
			s.more = true
			break
		}
		seen[v] = true
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Match) int { return a.Start - b.Start })
	return out
}

// manyVectors is how often one name may be given to numbers in hexadecimal before they are the vectors of a test.
const manyVectors = 5

// vectorNames are in the names that tests of cryptography have, and in few that settings have.
var vectorNames = words("shared exporter private session master ephemeral traffic premaster prk okm ikm")

// dropVectors leaves out what the tests of cryptography are full of: "shared_secret" and the like, again and again.
func (s *search) dropVectors() {
	times := map[string]int{}
	vector := func(m Match) bool {
		return slices.ContainsFunc(nameWords(m.Key), func(w string) bool { return vectorNames()[w] }) && m.certainty == byName && s.content.Kind == File && isHex(string(s.content.Data[m.Start:m.End]))
	}
	for _, m := range s.found {
		if vector(m) {
			times[strings.ToLower(m.Key)]++
		}
	}
	s.found = slices.DeleteFunc(s.found, func(m Match) bool { return vector(m) && times[strings.ToLower(m.Key)] > manyVectors })
}

// hint is what may be shown of a value: its first four characters if it is longer than 16, else nothing.
func hint(value string) string {
	if len(value) <= 16 || strings.HasPrefix(value, "-----") {
		return ""
	}
	for i := range 4 {
		if c := value[i]; c <= ' ' || c > '~' {
			return ""
		}
	}
	return value[:4]
}
