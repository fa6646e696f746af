package secret

import (
	"net/url"
	"path/filepath"
	"strings"
)

// FileRef returns the reference to the file at path, taken literally: neither # nor \ nor a leading ~ has a special meaning in it.
func FileRef(path string) (Ref, error) {
	rest := strings.NewReplacer(`\`, `\\`, `#`, `\#`).Replace(path)
	if path == "~" || strings.HasPrefix(path, "~/") {
		rest = "./" + rest
	}
	return ParseRef(SchemeFile + ":" + rest)
}

// File splits a reference to a file, PATH or PATH#KEY, at its first #. In the path, \# stands for # and \\ for \.
func (r Ref) File() (path, key string, hasKey bool) {
	var b strings.Builder
	for i := 0; i < len(r.Rest); i++ {
		c := r.Rest[i]
		if c == '#' {
			return b.String(), r.Rest[i+1:], true
		}
		if c == '\\' && i+1 < len(r.Rest) && (r.Rest[i+1] == '#' || r.Rest[i+1] == '\\') {
			i++
			c = r.Rest[i]
		}
		b.WriteByte(c)
	}
	return b.String(), "", false
}

// In returns the reference as seen from dir: the path of a file, unless absolute or in the home directory, is taken
// from there, also if the reference to the file is a key's of this one. References to anything else do not change.
func (r Ref) In(dir string) (Ref, error) {
	if r.Scheme != SchemeFile {
		return r.innerIn(dir)
	}
	path, key, hasKey := r.File()
	if filepath.IsAbs(path) || path == "~" || strings.HasPrefix(path, "~/") {
		return r, nil
	}
	abs, err := FileRef(filepath.Join(dir, path))
	if err != nil {
		return Ref{}, err
	}
	if hasKey {
		abs.Rest += "#" + key
	}
	return abs, nil
}

// schemeCommand has no keys: what looks like them is the command's.
const schemeCommand = "cmd"

// innerIn does that for the files in the keys, such as key=file:ca, and leaves every other byte alone.
func (r Ref) innerIn(dir string) (Ref, error) {
	rest, field, hasField := strings.Cut(r.Rest, "#")
	path, query, hasQuery := strings.Cut(rest, "?")
	if r.Scheme == schemeCommand || !hasQuery {
		return r, nil
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, text, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(text)
		if err != nil || !strings.HasPrefix(value, SchemeFile+":") {
			continue // Parts refuses the first
		}
		inner, err := ParseRef(value)
		if err != nil {
			continue
		}
		in, err := inner.In(dir)
		if err != nil {
			return Ref{}, err
		}
		if in != inner {
			pairs[i] = key + "=" + queryEscaper.Replace(in.String())
		}
	}
	r.Rest = path + "?" + strings.Join(pairs, "&")
	if hasField {
		r.Rest += "#" + field
	}
	return r, nil
}

// queryEscaper leaves what people read in a path as it is.
var queryEscaper = strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", "+", "%2B", " ", "%20", ";", "%3B")
