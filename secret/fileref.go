package secret

import (
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
// from there, also that of one within the reference. References to anything else do not change.
func (r Ref) In(dir string) (Ref, error) {
	if r.Scheme != SchemeFile {
		return r.withinIn(dir)
	}
	path, key, hasKey := r.File()
	if isPlaced(path) {
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
