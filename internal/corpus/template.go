package corpus

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// marker is where a value goes: ‹KIND›, ‹KIND N› or ‹KIND|FILTER|FILTER ARGUMENT›. KIND is from the tables shapes, kinds or
// keys, or "same" for the value before. A minus before it makes a value that is no secret.
var marker = regexp.MustCompile(`‹([^›]*)›`)

// filters write a value the way a format wants it.
var filters = map[string]func(value, arg string) string{
	"b64":    func(v, _ string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	"user":   func(v, user string) string { return user + ":" + v },
	"basic":  func(v, user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + v)) },
	"url":    func(v, _ string) string { return url.QueryEscape(v) },
	"wrap":   func(v, format string) string { return strings.Replace(format, "%s", v, 1) },
	"json":   func(v, _ string) string { return escapeJSON(v) },
	"xml":    func(v, _ string) string { return escapeXML(v) },
	"indent": func(v, n string) string { return indent(v, n) },
}

func escapeJSON(v string) string {
	b, _ := json.Marshal(v) // a string can always be written
	return string(b[1 : len(b)-1])
}

func escapeXML(v string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(v)) // nor does a string builder fail
	return b.String()
}

// indent puts spaces before all lines but the first.
func indent(v, n string) string {
	width, _ := strconv.Atoi(n)
	return strings.ReplaceAll(v, "\n", "\n"+strings.Repeat(" ", width))
}

// expand replaces the markers of a text and plants their secrets, each as at says, numbered and with its line.
func (b *builder) expand(at Planted, text string) string {
	r := b.random(at.ID)
	var out strings.Builder
	var last string
	n, pos := 0, 0
	for _, m := range marker.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[pos:m[0]])
		pos = m[1]
		spec, filler := strings.CutPrefix(text[m[2]:m[3]], "-")
		parts := strings.Split(spec, "|")
		value := last
		if parts[0] != "same" {
			value = b.value(r, parts[0])
		}
		last = value
		written := b.filtered(value, parts[1:])
		if !filler {
			n++
			p := at
			p.ID = fmt.Sprintf("%s#%d", at.ID, n)
			p.Format, _, _ = strings.Cut(parts[0], " ")
			p.Key = p.Key || keys[p.Format] != nil
			if p.Place == "file" && p.Inner == "" {
				p.Line = strings.Count(out.String(), "\n") + 1
			}
			p.value, p.written = value, written
			b.planted = append(b.planted, p)
		}
		out.WriteString(written)
	}
	out.WriteString(text[pos:])
	return out.String()
}

func (b *builder) filtered(value string, filter []string) string {
	for _, f := range filter {
		name, arg, _ := strings.Cut(f, " ")
		if filters[name] == nil {
			b.fail(fmt.Errorf("there is no filter %q", name))
			return ""
		}
		value = filters[name](value, arg)
	}
	return value
}

// value makes a value of a kind.
func (b *builder) value(r random, kind string) string {
	name, arg, _ := strings.Cut(kind, " ")
	n, _ := strconv.Atoi(arg)
	if shape, ok := shapes[name]; ok {
		return r.shaped(shape)
	}
	if make := kinds[name]; make != nil {
		return make(r, n)
	}
	make := keys[name]
	if make == nil {
		b.fail(fmt.Errorf("there is no kind %q", name))
		return ""
	}
	key, err := make()
	if err != nil {
		b.fail(fmt.Errorf("making a key of kind %s: %w", name, err))
	}
	return strings.TrimSuffix(key, "\n")
}

// random is the source of what stands in one place: it does not change with what is planted elsewhere.
func (b *builder) random(place string) random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(place))
	return random{rand.New(rand.NewPCG(b.seed, h.Sum64()))}
}
