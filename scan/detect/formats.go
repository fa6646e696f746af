package detect

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// format is a kind of file that credentials are kept in.
type format struct {
	rule Rule
	// paths are patterns of where such a file lives, for the end of its path in lower case. A star stands for a part of a name.
	// A pattern with an exclamation mark in front takes files out.
	paths []string
	// marks are texts of 4 bytes or more, one of which is in every such file: it is known by them wherever it is. Without
	// marks only its path tells.
	marks  []string
	looks  func(text []byte) bool // whether it is one after all; nil: it is
	binary bool                   // its files may hold any bytes; others are texts
	read   reader
	// settings are those that hold credentials. The first one with the right key and a value that counts is taken. Without any, all
	// that read gives are credentials.
	settings []setting
}

// setting says which settings of a format are credentials.
type setting struct {
	keys  []string // patterns, in lower case; those with an exclamation mark in front take keys out
	value judge
	rule  *Rule // nil: the format's
}

// on makes a setting of patterns of keys, with "|" between them. A star stands for anything.
func on(keys string, value judge) setting {
	return setting{keys: strings.Split(strings.ToLower(keys), "|"), value: value}
}

// as gives a setting a rule of its own.
func (s setting) as(rule *Rule) setting {
	s.rule = rule
	return s
}

// has tells whether a key in lower case is one of the setting's.
func (s *setting) has(key string) bool {
	found := false
	for _, pattern := range s.keys {
		if without, ok := strings.CutPrefix(pattern, "!"); ok && glob(without, key) {
			return false
		}
		found = found || glob(pattern, key)
	}
	return found
}

// formats are all formats.
var formats = slices.Concat(keyFormats, packageFormats, forgeFormats, cloudFormats, platformFormats, databaseFormats, webFormats, hostFormats)

// formatRules lists the rules of all formats.
func formatRules() []*Rule {
	var out []*Rule
	for i := range formats {
		f := &formats[i]
		out = append(out, &f.rule)
		for _, s := range f.settings {
			if s.rule != nil {
				out = append(out, s.rule)
			}
		}
	}
	return out
}

var everything = []setting{on("*", plain)}

// find gives the credentials in a text that is of format f, in the order in which its reader finds them, until yield returns
// false. It finds none in a text that is of another format.
func (f *format) find(text []byte, yield func(m Match) bool) {
	if f.looks != nil && !f.looks(text) || !f.binary && IsBinary(text) {
		return
	}
	settings := f.settings
	if settings == nil {
		settings = everything
	}
	f.read(text, func(p pair) bool {
		low := strings.ToLower(p.key)
		for i := range settings {
			s := &settings[i]
			if !s.has(low) {
				continue
			}
			if part := s.value(p.key, p.value); part.to > part.from {
				return yield(f.match(text, p, part, s.rule))
			}
		}
		return true
	})
}

// IsBinary tells whether a zero byte is where Git looks for one. Programs hold the marks of formats, too.
func IsBinary(text []byte) bool {
	return bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0
}

// match makes a match of a part of a value.
func (f *format) match(text []byte, p pair, part part, rule *Rule) Match {
	if rule == nil {
		rule = &f.rule
	}
	m := Match{Rule: rule, Start: p.start, End: p.end, Key: shown(p.key), Encoding: part.encoding}
	if string(text[p.start:p.end]) == p.value { // without escapes, so a part of it has a place
		m.Start, m.End = p.start+part.from, p.start+part.to
	}
	return m
}

// maxShown is how many bytes of a key are shown.
const maxShown = 128

// shown is a key as reports have it: not too long, and without a password in an address.
func shown(key string) string {
	key = withoutUser(key)
	if n := len(key) - maxShown; n > 0 {
		key = "…" + strings.ToValidUTF8(key[n:], "")
	}
	return key
}

// withoutUser takes user and password out of an address in a key, as in Git's [url "https://user:password@host/"].
func withoutUser(key string) string {
	before, rest, ok := strings.Cut(key, "://")
	if n := strings.LastIndexByte(rest, '@'); ok && n >= 0 {
		return before + "://" + rest[n+1:]
	}
	return key
}

// glob tells whether a text is like a pattern whose stars stand for any text.
func glob(pattern, s string) bool {
	first, rest, ok := strings.Cut(pattern, "*")
	if !ok {
		return s == pattern
	}
	s, ok = strings.CutPrefix(s, first)
	for ok {
		var part string
		last := rest
		if part, rest, ok = strings.Cut(rest, "*"); !ok {
			return strings.HasSuffix(s, last)
		}
		var found bool
		if _, s, found = strings.Cut(s, part); !found {
			return false
		}
	}
	return false
}

// place is one pattern of where a format lives.
type place struct {
	format  *format
	pattern string
}

// places has all patterns of paths, by what is the same in all paths that are like them.
type places struct {
	names   map[string][]place // by the name of the file
	endings map[string][]place // by what is behind the last dot of the name
	stems   map[string][]place // by what is in front of the second part of the name, ".env." of ".env.local"
	folders map[string][]place // by the name of the folder
}

var allPlaces = sync.OnceValue(func() *places { return newPlaces(formats) })

func newPlaces(formats []format) *places {
	p := &places{map[string][]place{}, map[string][]place{}, map[string][]place{}, map[string][]place{}}
	for i := range formats {
		for _, pattern := range formats[i].paths {
			if pattern[0] != '!' {
				p.add(place{&formats[i], pattern})
			}
		}
	}
	return p
}

func (p *places) add(at place) {
	folder, name := splitPath(at.pattern)
	kind, key := p.stems, stem(name)
	switch {
	case name == "*":
		_, key = splitPath(folder)
		kind = p.folders
	case !strings.Contains(name, "*"):
		kind, key = p.names, name
	case !strings.Contains(ending(name), "*"):
		kind, key = p.endings, ending(name)
	}
	kind[key] = append(kind[key], at)
}

// formatsFor returns the formats whose files have such a path: with slashes, and none in front.
func formatsFor(path string) []*format {
	if path == "" {
		return nil
	}
	path = strings.ToLower(path)
	folder, name := splitPath(path)
	_, parent := splitPath(folder)
	places := allPlaces()
	var out []*format
	for _, list := range [...][]place{places.names[name], places.endings[ending(name)], places.stems[stem(name)], places.folders[parent]} {
		for _, at := range list {
			if atEnd(at.pattern, path) && !slices.Contains(out, at.format) && !at.format.excludes(path) {
				out = append(out, at.format)
			}
		}
	}
	return out
}

func (f *format) excludes(path string) bool {
	return slices.ContainsFunc(f.paths, func(p string) bool { return p[0] == '!' && atEnd(p[1:], path) })
}

func splitPath(path string) (folder, name string) {
	n := strings.LastIndexByte(path, '/')
	return path[:max(n, 0)], path[n+1:]
}

// ending is a name from its last dot on.
func ending(name string) string {
	return name[max(strings.LastIndexByte(name, '.'), 0):]
}

// stem is a name up to the first dot that it does not start with.
func stem(name string) string {
	for i := 1; i < len(name); i++ {
		if name[i] == '.' {
			return name[:i+1]
		}
	}
	return name
}

// atEnd tells whether the last names of a path are like those of a pattern.
func atEnd(pattern, path string) bool {
	for {
		var want, name string
		pattern, want = splitPath(pattern)
		path, name = splitPath(path)
		if !glob(want, name) {
			return false
		}
		if pattern == "" || path == "" {
			return pattern == ""
		}
	}
}

// has makes a format look for a text in its files.
func has(s string) func(text []byte) bool {
	return func(text []byte) bool { return bytes.Contains(text, []byte(s)) }
}

// looksLikeJSON tells JSON from programs with JSON in them.
func looksLikeJSON(text []byte) bool {
	c := firstByte(text)
	return c == '{' || c == '['
}

// firstByte is the first one that is no white space, nor a byte order mark.
func firstByte(text []byte) byte {
	for start, end := range lines(text) {
		if start, end = trim(text, start, end); start < end {
			return text[start]
		}
	}
	return 0
}

// asFile is the general fix of a tool that reads a file: it gets that for one step only.
func asFile(id, target, command string) string {
	return "RUN --mount=type=secret,id=" + id + ",target=" + target + " \\\n    " + command + "\n# docker build --secret id=" + id + ",src=… ."
}

// asVariable is the general fix of a tool that reads a variable.
func asVariable(name, command string) string {
	return "RUN --mount=type=secret,id=" + name + ",env=" + name + " \\\n    " + command + "\n# docker build --secret id=" + name + ",env=" + name + " ."
}

// atRunTime is the general fix of what a program needs while it runs and not while it is built.
func atRunTime(target string) string {
	return "# .dockerignore: leave the file out of the build, and mount it when the container is run:\n" +
		"docker run --mount type=bind,src=…,dst=" + target + ",readonly …"
}

// asSettings is the general fix of a program that also reads its secrets from the environment.
func asSettings(names string) string {
	return "# .dockerignore: leave the file out of the build, and set " + names + " when the container is run:\n" +
		"docker run --env-file … …   # or the orchestrator's secrets"
}
