package corpus

import (
	"embed"
	"fmt"
	"strings"

	"golang.org/x/tools/txtar"
)

// sets are archives of files with markers, in the format of golang.org/x/tools/txtar.
//
//go:embed files/*.txtar
var sets embed.FS

func read(set string) []txtar.File {
	text, err := sets.ReadFile("files/" + set + ".txtar")
	if err != nil {
		panic(err) // the program was built without it
	}
	return txtar.Parse(text).Files
}

// sets makes the files of some sets.
func (b *builder) sets(layer int, names ...string) []file {
	var out []file
	for _, name := range names {
		for _, f := range read(name) {
			out = append(out, b.file(layer, Visible, f.Name, string(f.Data)))
		}
	}
	return out
}

// file plants a file's secrets.
func (b *builder) file(layer int, status, name, text string) file {
	at := Planted{ID: name, Place: "file", Layer: layer, Path: name, Status: status}
	if layer != layerCredentials {
		at.ID = fmt.Sprintf("%d/%s", layer, name)
	}
	return file{name: name, body: b.expand(at, text)}
}

// Innocent lists the files of every image that have no secret, and look as if they had one.
func Innocent() []string {
	var out []string
	for _, set := range []string{"innocent", "innocent-code"} {
		for _, f := range read(set) {
			out = append(out, f.Name)
		}
	}
	return out
}

// large makes files in which a secret is far from anywhere.
func (b *builder) large() []file {
	return []file{
		b.file(layerCode, Visible, "app/public/bundle.min.js", b.minified(150<<10)+`fetch(u,{headers:{"x":"‹github›"}})`+b.minified(150<<10)),
		b.file(layerCode, Visible, "app/public/vendor.min.js", b.minified(64<<10)+`,c={user:"svc",password:"‹human›"},`+b.minified(64<<10)),
		b.file(layerCode, Visible, "app/var/log/requests.log", b.log(9000)+"2026-03-01T12:00:00Z WARN url=https://svc:‹pass›@hooks.corp.internal/in\n"+b.log(9000)),
		b.file(layerCode, Visible, "app/var/log/export.json", `{"rows":[`+b.rows(4000)+`{"id":0,"slack":"‹slack-bot›"},`+b.rows(4000)+`{}]}`),
	}
}

// minified is about n bytes of a program on one line.
func (b *builder) minified(n int) string {
	r := b.random("minified")
	var out strings.Builder
	for out.Len() < n {
		fmt.Fprintf(&out, "function %s(%s,t){return %s.%s(t,%d)||null}var n%d=%q;", r.from(lower, 2), r.from(lower, 1), r.from(lower, 1),
			r.from(lower, 6), r.IntN(1000), r.IntN(1000), r.from(lower+digits, 4+r.IntN(8)))
	}
	return out.String()
}

func (b *builder) log(lines int) string {
	r := b.random("log")
	var out strings.Builder
	for i := range lines {
		fmt.Fprintf(&out, "2026-03-01T10:%02d:%02dZ INFO GET /v1/items/%s id=%s 200 %dms\n", i/60%60, i%60, r.from(digits, 6), r.uuid(), r.IntN(300))
	}
	return out.String()
}

func (b *builder) rows(n int) string {
	r := b.random("rows")
	var out strings.Builder
	for range n {
		fmt.Fprintf(&out, `{"id":%d,"digest":"sha256:%s","etag":"%s"},`, r.IntN(1e6), hexOf(r.bytes(32)), r.from(alnum, 22))
	}
	return out.String()
}
