package secret

import (
	"net/url"
	"path/filepath"
	"slices"
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

// paths are the parts of other references that are paths, too: keys, and "" for what stands before the ?.
var paths = map[string][]string{
	"age":               {"", "identity"},
	"docker-credential": {"file"},
	"netrc":             {"file"},
	"sops":              {""},
	"ssh-cert":          {""},
}

// asWritten are the schemes whose references are not taken apart: what looks like another reference in them is none.
var asWritten = []string{SchemeFile, SchemeEnv, SchemeStdin, "cmd", "fd"}

// In returns the reference as seen from dir: the path of a file, unless absolute or in the home directory, is taken
// from there, also that of a file within the reference. References without paths do not change.
func (r Ref) In(dir string) (Ref, error) {
	if r.Scheme == SchemeFile {
		return r.fileIn(dir)
	}
	r.Dir = dir
	if slices.Contains(asWritten, r.Scheme) {
		return r, nil
	}
	parts := paths[r.Scheme]
	rest, field, hasField := strings.Cut(r.Rest, "#")
	path, query, hasQuery := strings.Cut(rest, "?")
	if slices.Contains(parts, "") {
		path = partIn(dir, path, url.PathUnescape)
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, text, ok := strings.Cut(pair, "=")
		if ok && key != "" && slices.Contains(parts, key) {
			pairs[i] = key + "=" + partIn(dir, text, url.QueryUnescape)
		} else if ref, ok := innerRef(pair); ok && ref.Scheme == SchemeFile {
			placed, err := ref.In(dir)
			if err != nil {
				return Ref{}, err
			}
			pairs[i] = key + "=" + escape.Replace(placed.String())
		}
	}
	if hasQuery {
		path += "?" + strings.Join(pairs, "&")
	}
	if hasField {
		path += "#" + field
	}
	r.Rest = path
	return r, nil
}

func (r Ref) fileIn(dir string) (Ref, error) {
	path, key, hasKey := r.File()
	if !relative(path) {
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

// partIn leaves alone what is no path, or not well written: Parts says so.
func partIn(dir, text string, unescape func(string) (string, error)) string {
	path, err := unescape(text)
	if err != nil || path == "" || !relative(path) {
		return text
	}
	return escape.Replace(filepath.Join(dir, path))
}

// escape leaves what needs no escape as it is.
var escape = strings.NewReplacer("%", "%25", "#", "%23", "?", "%3F", "&", "%26", "+", "%2B", ";", "%3B")

func relative(path string) bool {
	return !filepath.IsAbs(path) && path != "~" && !strings.HasPrefix(path, "~/")
}
