package proof

import "bytes"

const (
	longValue = 64 << 10 // above this a value is searched by samples, and no format is looked for in it
	maxLines  = 128      // a value of more lines gets only raw needles for each: samples find the rest
	maxDepth  = 4        // of formats inside formats, such as PEM in JSON
)

// form is one text that needles are made from: the value, a line of it, a field of it.
type form struct {
	text    []byte
	lo, hi  int  // the part of text that is secret; samples and pieces are taken from there
	rawOnly bool // too many of its kind for all encodings
}

// whole is a form that is secret from end to end.
func whole(text []byte) form { return form{text: text, hi: len(text)} }

// part is a field that a format recognised.
type part struct {
	form
	opaque bool // it cannot be of some format itself
}

// field is a part that may be of some format itself.
func field(text []byte) part { return part{form: whole(text)} }

// formsOf lists what is searched for when a value is v.
func formsOf(v []byte) []form {
	if len(v) > longValue {
		return []form{whole(v)}
	}
	c := collector{seen: make(map[string]bool)}
	c.collect(v, 0)
	c.addAnyway(whole(v))
	return c.forms
}

// collector gathers distinct forms.
type collector struct {
	forms []form
	seen  map[string]bool
}

// collect adds v as it is and trimmed, and what its format says is secret, or all its lines. It returns the texts in v
// that are secret.
func (c *collector) collect(v []byte, depth int) [][]byte {
	parts := recognise(v)
	var secrets [][]byte
	for _, p := range parts {
		if p.opaque || depth == maxDepth {
			c.add(p.form)
			secrets = append(secrets, p.text[p.lo:p.hi])
		} else {
			secrets = append(secrets, c.collect(p.text, depth+1)...)
		}
	}
	if parts == nil {
		c.addLines(v)
		secrets = [][]byte{v}
	}
	for _, text := range [][]byte{v, bytes.TrimRight(v, "\r\n"), bytes.TrimSpace(v)} {
		lo, hi := longestIn(text, secrets)
		c.add(form{text: text, lo: lo, hi: hi})
	}
	return secrets
}

// longestIn is where the longest of the secrets that text holds lies in it, and all of text if it holds none.
func longestIn(text []byte, secrets [][]byte) (lo, hi int) {
	for _, s := range secrets {
		if len(s) <= hi-lo || len(s) < MinLen {
			continue
		}
		if at := bytes.Index(text, s); at >= 0 {
			lo, hi = at, at+len(s)
		}
	}
	if hi == 0 {
		return 0, len(text)
	}
	return lo, hi
}

func (c *collector) addLines(v []byte) {
	if !bytes.Contains(v, []byte("\n")) {
		return
	}
	many := bytes.Count(v, []byte("\n")) > maxLines
	for line := range bytes.Lines(v) {
		for _, text := range [][]byte{bytes.TrimRight(line, "\r\n"), bytes.TrimSpace(line)} {
			c.add(form{text: text, hi: len(text), rawOnly: many})
		}
	}
}

// add takes f unless it is too short or too plain to be told from other data, such as a line of dashes.
func (c *collector) add(f form) {
	if len(f.text) >= MinLen && distinct(f.text) >= 3 {
		c.addAnyway(f)
	}
}

func (c *collector) addAnyway(f form) {
	if !c.seen[string(f.text)] {
		c.seen[string(f.text)] = true
		c.forms = append(c.forms, f)
	}
}

// distinct is the number of different bytes in b.
func distinct(b []byte) int {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}
