package scan

import "strings"

// maxName is how much of a member's name a Path keeps: no file system has longer paths.
const maxName = 4096

// Path names a stream or a member of an archive, such as "usr/share/x.jar!/META-INF/a.gz!". It costs nothing to make;
// only String puts the text together.
type Path struct {
	outer   *Path // what it is in; nil for the blob itself
	name    string
	decoded bool // not a member of outer but what outer decompresses to
}

// Blob returns the path of a blob, which may have the empty name.
func Blob(name string) Path { return Path{name: name} }

// Member returns the path of a member of the archive p.
func (p Path) Member(name string) Path { return member(&p, name) }

// Decoded returns the path of what p decompresses to.
func (p Path) Decoded() Path { return Path{outer: &p, decoded: true} }

func member(outer *Path, name string) Path {
	if len(name) > maxName {
		name = strings.Clone(name[:maxName])
	}
	return Path{outer: outer, name: name}
}

// String returns the names from the blob's inward: "!/" stands before a member's and a "!" after what was
// decompressed. A blob without a name, compressed or not, adds nothing.
func (p Path) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p Path) write(b *strings.Builder) {
	if p.outer == nil {
		b.WriteString(p.name)
		return
	}
	p.outer.write(b)
	switch {
	case b.Len() == 0:
	case p.decoded:
		b.WriteByte('!')
	case p.outer.decoded:
		b.WriteByte('/')
	default:
		b.WriteString("!/")
	}
	b.WriteString(p.name)
}

// File returns the name of the outermost member on the way to p: in a layer, the file. It is empty for the blob itself
// and for what it decompresses to.
func (p Path) File() string {
	file := ""
	for q := &p; q.outer != nil; q = q.outer {
		if !q.decoded {
			file = q.name
		}
	}
	return file
}

// Split returns the File of p and what follows inside of it, such as "usr/x.jar" and "META-INF/a.gz".
func (p Path) Split() (file, inner string) {
	whole := p.String()
	file = p.File()
	_, inner, _ = strings.Cut(whole[strings.Index(whole, file)+len(file):], "!")
	return file, strings.TrimSuffix(strings.TrimPrefix(inner, "/"), "!")
}

// Top tells whether p is a member of the blob itself or of what that decompresses to: in a layer, an entry of it and nothing
// inside of one.
func (p Path) Top() bool {
	q := p.outer
	if q == nil || p.decoded {
		return false
	}
	for q.decoded {
		q = q.outer
	}
	return q.outer == nil
}

// Innermost returns the name of the innermost member or file on the way to p, which says best what its bytes are. What was
// decompressed is named without the ending that says how.
func (p Path) Innermost() string {
	q, name := &p, p.name
	for q.decoded && q.outer != nil {
		q = q.outer
		name = q.name
	}
	if p.decoded {
		for _, ending := range []string{".gz", ".zst", ".xz", ".bz2", ".Z"} {
			name = strings.TrimSuffix(name, ending)
		}
	}
	return name
}

// Unpacked tells whether p is what the blob itself decompresses to.
func (p Path) Unpacked() bool { return p.decoded && p.outer != nil && p.outer.outer == nil }
