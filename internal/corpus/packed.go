package corpus

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// inside makes the text of a file inside of a file.
func (b *builder) inside(name, inner, text string) string {
	return b.expand(Planted{ID: name + "!/" + inner, Place: "file", Layer: layerPacked, Path: name, Inner: inner, Status: Visible}, text)
}

// binary makes the text of a file in which lines do not count.
func (b *builder) binary(name, text string) string {
	start := len(b.planted)
	text = b.expand(Planted{ID: name, Place: "file", Layer: layerPacked, Path: name, Status: Visible}, text)
	for i := range b.planted[start:] {
		b.planted[start+i].Line = 0
	}
	return text
}

// packed makes containers in containers, and encodings.
func (b *builder) packed() []file {
	return append(append(b.archives(), b.compressed()...), b.encoded()...)
}

const netrc = "machine git.corp.internal login ci password ‹pass›\n"

func (b *builder) archives() []file {
	in := b.inside
	jar := zipped("BOOT-INF/classes/application.properties", in("opt/app.jar", "BOOT-INF/classes/application.properties", "spring.datasource.password=‹human›\n"),
		"BOOT-INF/lib/inner.jar", zipped("config/keys.properties", in("opt/app.jar", "config/keys.properties", "slack=‹slack-bot›\n")),
		"BOOT-INF/classes/App.class", class(in("opt/app.jar", "BOOT-INF/classes/App.class", "‹github›")))
	wheel := zipped("corp/__init__.py", "", "corp/settings.py", in("opt/corp-1.0-py3-none-any.whl", "corp/settings.py", "API_KEY = '‹pypi›'\n"))
	tgz := gz(tarred("backup/root/.netrc", in("var/backups/home.tar.gz", "root/.netrc", netrc), "backup/.env", in("var/backups/home.tar.gz", ".env", "DB_PASSWORD=‹human›\n")))
	deb := arred("debian-binary", "2.0\n",
		"control.tar.gz", gz(tarred("./postinst", in("opt/corp_1.0_amd64.deb", "postinst", "#!/bin/sh\ncurl -u ci:‹pass› https://nexus.corp.internal/x\n"))),
		"data.tar.xz", b.xz(tarred("./etc/corp/app.ini", in("opt/corp_1.0_amd64.deb", "etc/corp/app.ini", "[db]\npassword = ‹human›\n"))))
	const saved = "var/lib/images/app.tar"
	image := tarred("0a1b/VERSION", "1.0", "0a1b/layer.tar", tarred("root/.npmrc", in(saved, "root/.npmrc", "//npm.corp.internal/:_authToken=‹uuid›\n")),
		"c0ff.json", in(saved, "c0ff.json", `{"config":{"Env":["TOKEN=‹github›"]}}`))
	deep := zipped("lib.zip", gz(tarred("x/inner.zip", zipped("key.pem", in("opt/deep.zip", "key.pem", "‹ec›\n")))))
	return []file{
		{name: "opt/app.jar", body: jar}, {name: "opt/corp-1.0-py3-none-any.whl", body: wheel}, {name: "var/backups/home.tar.gz", body: tgz},
		{name: "opt/corp_1.0_amd64.deb", body: deb}, {name: saved, body: image}, {name: "opt/deep.zip", body: deep},
	}
}

// compressed makes single files. They are long enough for no compressor to leave them as they are.
func (b *builder) compressed() []file {
	head := b.log(200)
	pack := func(name, text string, with func(string) string) file {
		return file{name: name, body: with(head + b.binary(name, text))}
	}
	return []file{
		pack("var/backups/app.env.gz", "PORT=80\nDB_PASSWORD=‹human›\n", gz),
		pack("var/backups/app.sql.xz", "INSERT INTO users VALUES (1, 'root');\nALTER ROLE app PASSWORD '‹pass›';\n", b.xz),
		pack("var/backups/app.log.zst", "GET / Authorization: Bearer ‹jwt›\n", zst),
		pack("var/log/old.log.1.gz", "login with ‹gitlab› ok\n"+head, gz),
	}
}

func (b *builder) encoded() []file {
	return []file{
		{name: "srv/legacy/db.udl", body: utf16LE(b.file(layerPacked, Visible, "srv/legacy/db.udl",
			"[oledb]\r\n; Everything after this line is an OLE DB initstring\r\nProvider=SQLOLEDB.1;Password=‹pass›;User ID=sa;Data Source=db.corp.internal\r\n").body)},
		{name: "srv/legacy/keys.reg", body: utf16LE(b.file(layerPacked, Visible, "srv/legacy/keys.reg",
			"Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\Software\\Corp]\r\n\"Token\"=\"‹github›\"\r\n").body)},
		{name: "usr/local/bin/agent", body: elf + strings.Repeat("\x00\x90\xc3", 5000) + "usage: agent\x00" +
			b.binary("usr/local/bin/agent", "https://api.corp.internal\x00‹gitlab›\x00connecting\x00") + strings.Repeat("\x00", 4000)},
		{name: "usr/local/bin/gotool", body: elf + strings.Repeat("\x0f\x1f\x40", 5000) +
			b.binary("usr/local/bin/gotool", "invalid argumentno such process‹github›context deadline exceededunexpected newline") + strings.Repeat("\x00", 4000)},
		{name: "app/.env.swp", body: "b0VIM 8.2\x00" + strings.Repeat("\x00", 4087) + "tp" + strings.Repeat("\x00", 200) +
			b.binary("app/.env.swp", "DB_PASSWORD=‹human›\x00DB_HOST=db.corp.internal\x00")},
		{name: "var/crash/environ", body: b.binary("var/crash/environ", "PATH=/usr/bin\x00HOME=/root\x00DB_PASSWORD=‹pass›\x00LANG=C\x00")},
		{name: "srv/xattr/data.bin", body: "nothing here", pax: map[string]string{
			"SCHILY.xattr.user.token": b.binary("srv/xattr/data.bin", "‹github›")}},
		b.named(),
	}
}

// named is a file whose name is the secret.
func (b *builder) named() file {
	const folder = "srv/by-token/"
	return file{name: folder + b.binary(folder, "‹gitlab›"), body: "user=ci\n"}
}

// elf is the start of a program.
const elf = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01\x00\x00\x00"

// class is as much of a Java class as its constants.
func class(constant string) string {
	text := func(s string) string { return "\x01" + string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
	return "\xca\xfe\xba\xbe\x00\x00\x00\x3d\x00\x04" + text("Code") + text(constant) + text("java/lang/Object")
}

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// The writers below write to memory, which cannot fail.

func zipped(files ...string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		f, _ := w.Create(files[i])
		_, _ = io.WriteString(f, files[i+1])
	}
	_ = w.Close()
	return out.String()
}

func tarred(files ...string) string {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		_ = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
		_, _ = io.WriteString(w, files[i+1])
	}
	_ = w.Close()
	return out.String()
}

func arred(files ...string) string {
	out := "!<arch>\n"
	for i := 0; i < len(files); i += 2 {
		body := files[i+1]
		out += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", files[i], 0, 0, 0, 0o644, len(body), body)
		if len(body)%2 == 1 {
			out += "\n"
		}
	}
	return out
}

func packWith(w io.WriteCloser, out *bytes.Buffer, body string) string {
	_, _ = io.WriteString(w, body)
	_ = w.Close()
	return out.String()
}

func gz(body string) string {
	var out bytes.Buffer
	return packWith(gzip.NewWriter(&out), &out, body)
}

func zst(body string) string {
	var out bytes.Buffer
	w, _ := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	return packWith(w, &out, body)
}

func (b *builder) xz(body string) string {
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		b.fail(err)
		return ""
	}
	return packWith(w, &out, body)
}
