package secret

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// asWritten are the schemes whose references are not taken apart: what looks like another reference in them is none.
var asWritten = []string{SchemeFile, SchemeEnv, SchemeStdin, "cmd", "fd"}

// withPaths are the schemes whose references begin with the path of a file.
var withPaths = []string{"age", "sops", "ssh-cert"}

// Within lists the schemes of the references within a reference, such as that of the key of github-app:1/2?key=file:app.pem. Also
// something else that has their form is among them.
func (r Ref) Within() []string {
	var out []string
	for _, ref := range r.inner() {
		out = append(out, ref.Scheme)
		out = append(out, ref.Within()...)
	}
	return out
}

// inner are the references within a reference.
func (r Ref) inner() []Ref {
	if slices.Contains(asWritten, r.Scheme) {
		return nil
	}
	rest, _, _ := strings.Cut(r.Rest, "#")
	_, query, _ := strings.Cut(rest, "?")
	var out []Ref
	for pair := range strings.SplitSeq(query, "&") {
		if ref, ok := innerRef(pair); ok {
			out = append(out, ref)
		}
	}
	return out
}

// innerRef reads KEY=REFERENCE. Also what is none may have its form, such as a URL or a permission.
func innerRef(pair string) (Ref, bool) {
	_, text, ok := strings.Cut(pair, "=")
	text, err := url.QueryUnescape(text)
	if !ok || err != nil {
		return Ref{}, false
	}
	ref, err := ParseRef(text)
	return ref, err == nil
}

// withinIn is In for references that are no file's: their own path, and files within them.
func (r Ref) withinIn(dir string) (Ref, error) {
	if slices.Contains(asWritten, r.Scheme) {
		return r, nil
	}
	rest, field, hasField := strings.Cut(r.Rest, "#")
	path, query, hasQuery := strings.Cut(rest, "?")
	if slices.Contains(withPaths, r.Scheme) && !isPlaced(path) {
		path = filepath.Join(dir, path)
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		ref, ok := innerRef(pair)
		if !ok || ref.Scheme != SchemeFile {
			continue
		}
		placed, err := ref.In(dir)
		if err != nil {
			return Ref{}, err
		}
		key, _, _ := strings.Cut(pair, "=")
		pairs[i] = key + "=" + readable.Replace(url.QueryEscape(placed.String()))
	}
	if hasQuery {
		path += "?" + strings.Join(pairs, "&")
	}
	if hasField {
		path += "#" + field
	}
	return Ref{Scheme: r.Scheme, Rest: path}, nil
}

// readable leaves what needs no escape in a query as it is.
var readable = strings.NewReplacer("%2F", "/", "%3A", ":", "%7E", "~")

// isPlaced tells whether a path is the same from everywhere.
func isPlaced(path string) bool {
	return filepath.IsAbs(path) || path == "~" || strings.HasPrefix(path, "~/")
}
