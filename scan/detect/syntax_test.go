package detect

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// all readers, for what has to be so for each of them.
var everyReader = map[string]reader{
	"ini": readINI, "directives": readDirectives, "columns": readColumns, "json": readJSON, "yaml": readYAML, "toml": readTOML, "xml": readXML,
	"netrc": readNetrc, "commands": readCommands, "code": readCode, "urls": readURLs, "channels": readChannels, "pem": readPEM, "whole": readWhole,
	"manifests": readManifests, "pkcs12": readPKCS12, "keystore": readKeystore, "keepass": readKeePass, "gnupg": readGnuPG, "agent key": readAgentKey,
	"putty": readPuTTY, "login": readLogin, "cloud config": readCloudConfig, "both": both(readINI, readURLs), "xml or json": both(readIfXML, readIfJSON),
}

// showPairs writes pairs as key=value, and checks where they are.
func showPairs(t *testing.T, read reader, text string) (out []string) {
	t.Helper()
	read([]byte(text), func(p pair) bool {
		checkPair(t, []byte(text), p)
		out = append(out, p.key+"="+p.value)
		return true
	})
	return out
}

func checkPair(t *testing.T, text []byte, p pair) {
	t.Helper()
	if p.start < 0 || p.start > p.end || p.end > len(text) {
		t.Fatalf("%q: the value %q is from %d to %d of %d", text, p.value, p.start, p.end, len(text))
	}
	if raw := string(text[p.start:p.end]); raw != p.value && !strings.ContainsAny(raw, "\\&%\n") {
		t.Errorf("%q: the value %q is at %q", text, p.value, raw)
	}
	if len(p.key) > maxKey {
		t.Errorf("a key has %d bytes", len(p.key))
	}
}

func TestReaders(t *testing.T) {
	for _, c := range []struct {
		reader string
		text   string
		want   []string
	}{
		{"ini", "\ufeffa = 1 # one\r\nb: two words ; x\n# c = 3\n// d = 4\n; e = 5\n", []string{"a=1", "b=two words"}},
		{"ini", "[s]\na = 1\n[t \"u v\"] b = 2\n[broken\nc=3", []string{"s.a=1", "t.u v.b=2", "broken.c=3"}},
		{"ini", "a = \"x \\\"y\\\" # z\" # c\nb = 'it\\'\nc = \"open\nd=", []string{`a=x "y" # z`, `b=it\`, "c=open", "d="}},
		{"ini", "list =\n  one\n  https://h:8080/x\n  key = 3\n", []string{"list=", "list=one", "list=https://h:8080/x", "key=3"}},
		{"ini", "export A=b c\nexport B='b c'\necho \"x=y z\" > f\nset p = 1\n", []string{"A=b", "B=b c", "x=y z", "p=1"}},
		{"ini", "//h:80/:_authToken=x\nname:value\n:\n=\n\"k\": \"v\",\n", []string{"//h:80/:_authToken=x", "name=value", "k=v"}},
		{"directives", "a b c # d\nb = \"x y\"\nc:  1\nd\n\n# e f\n[h]:587 u:p\n-u a:b", []string{"a=b c", "b=x y", "c=1", "[h]:587=u:p", "-u=a:b"}},
		{"columns", "a:b\\:c:\n#x:y\nz\n", []string{"a.1=a", "a.2=b:c", "a.3=", "z.1=z"}},
		{"whole", "\n  x y \n", []string{"=x y"}},
		{"whole", "x\ny\n", nil},
		{"json", `{"a": {"b": "c", "d": [1, "e", {"f": true}]}, "g": "\u0041\n\"\/"}`, []string{"a.b=c", "a.d.=1", "a.d.=e", "a.d..f=true", "g=A\n\"/"}},
		{"json", `[{"a":"b"},{"c":"d"},]` + "\n" + `{'e': 'f', /* x */ g: 1.5, // "h": "i"` + "\n" + `k: null}`, []string{"a=b", "c=d", "e=f", "g=1.5", "k=null"}},
		{"json", `{"a": {"b": "cut of`, []string{"a.b=cut of"}},
		{"json", `{"a": "x", "b": {"c": `, []string{"a=x"}},
		{"json", `log: {"a":"b"}} ] {"c":"d"`, []string{"a=b", "c=d"}},
		{"yaml", "a: b\nc:\n  d: 'e' # f\n  \"g h\": \"i\\tj\"\nk: l m # n\n", []string{"a=b", "c.d=e", "c.g h=i\tj", "k=l m"}},
		{"yaml", "a:\n- b\n- c: d\n  e: f\n-\n  g: h\n- - i\nj: k\n", []string{"a.=b", "a..c=d", "a..e=f", "a..g=h", "a..=i", "j=k"}},
		{"yaml", "a: |\n  b\n   c\n\n  d\ne: >-\n f\ng: |\nh: i\n", []string{"a=b\nc\n\nd", "e=f", "h=i"}},
		{"yaml", "a: {b: c, d: [e, 'f']}\ng: [{h: i,\n   j: https://k/l}\n]\nm: n\n", []string{"a.b=c", "a.d.=e", "a.d.=f", "g..h=i", "g..j=https://k/l", "m=n"}},
		{"yaml", "---\na:\n  b: c\n--- # two\nd: !!str e\nf: &x y\n{{ if g }}\nh: {{ i }}\n...\nj: k", []string{"a.b=c", "d=e", "f=y", "h={{ i }}", "j=k"}},
		{"yaml", `{"a": {"b": "c"}}`, []string{"a.b=c"}},
		{"yaml", "a: |", nil},
		{"yaml", "a: {", nil},
		{"yaml", "a: \"open\nb: c:d\nplain words\n", []string{"a=open", "b=c:d"}},
		{"toml", "a = \"b\" # c\n[d.\"e f\"]\ng.h = 'i\\'\n[[j]]\nk = 1\n", []string{"a=b", `d.ef.g.h=i\`, "j..k=1"}},
		{"toml", "a = { b = \"c\", d = [ { e = \"f\" } ] }\ng = [\n  \"h\", # i\n  \"j\"\n]\nk = \"\"\"\nl\nm\"\"\"\nn = '''o'''\n", []string{"a.b=c", "a.d..e=f", "g.=h", "g.=j", "k=\nl\nm", "n=o"}},
		{"toml", "\"a=b\" = \"c\"\nd = [\"e", []string{"a=b=c", "d.=e"}},
		{"xml", `<?xml version="1.0"?><!-- <a>x</a> --><a b="c"><d>e &amp; f</d><g h='i'/>j</a>`, []string{"a@b=c", "a.d=e & f", "a.g@h=i", "a=j"}},
		{"xml", `<a><add key="k" value="v"/><b name="n" value="w">x</b><![CDATA[<y>]]></a>`, []string{"a.add@key=k", "a.add[k]=v", "a.b@name=n", "a.b[n]=w", "a.b=x", "a=<y>"}},
		{"xml", `<a><b>c</a><d e="f`, []string{"a.b=c", "d@e=f"}},
		{"xml", `1 < 2 <a b c=d e = "f" <g>h</g>`, []string{"a@e=f", "a.g=h"}},
		{"netrc", "machine h login l password p account a\n machine learning has password x\nmachine\nh2\npassword \"q r\ndefault password s", []string{"machine.h.login=l", "machine.h.password=p", "machine.h.account=a", "machine.h2.password=q", "default.password=s"}},
		{"netrc", "macdef m\nmachine x password y\n\nmachine h # login z\npassword #p", []string{"machine.h.password=#p"}},
		{"commands", `A=b c --d e --f="g h" -i 'j' -k -l && m=n; --o`, []string{"A=b", "d=e", "f=g h", "i=j", "m=n"}},
		{"commands", `echo "a=b" x\ y=z`, nil},
		{"code", "a = 'b'\n'c' => \"d\", e: 'f'\ndefine('g', 'h');\n{<<\"i\">>,<<\"j\">>}\nk = f('l')\n$m->n = 'o'; p[\"q\"] = \"r\"", []string{"a=b", "c=d", "e=f", "g=h", "i=j", "n=o", "q=r"}},
		{"code", "# a = 'b'\n// c = 'd'\ndon't = \"e\"\nx = u'f' + b\"g\"\nget('h', default='i')\nopen = 'j", []string{"t=e", "x=f", "default=i", "open=j"}},
		{"urls", "x https://u:p@h/y,ftp://a:b%20c@d:21;https://u@h https://h:80/@ a://:t@h", []string{"https://h=p", "ftp://d:21=b c", "a://h=t"}},
		{"urls", `"db://u:a@b@h?x" https://` + strings.Repeat("t", 20) + `:@h/`, []string{"db://h=a@b", "https://h=" + strings.Repeat("t", 20)}},
		{"channels", "- https://u:p@h/t/a-b/c\n/t/x", []string{"h=a-b"}},
	} {
		if got := showPairs(t, everyReader[c.reader], c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s %q:\n got %q\nwant %q", c.reader, c.text, got, c.want)
		}
	}
}

func TestReadersStop(t *testing.T) {
	for _, s := range samples(t) {
		read, n := formatNamed(t, s.format).read, 0
		read([]byte(s.text), func(pair) bool {
			n++
			return false
		})
		if n > 1 {
			t.Errorf("%s: %d pairs after no more were wanted", s.format, n-1)
		}
	}
}

// TestReadersAreLinear reads texts made to be slow: what takes a reader the square of their length takes minutes here.
func TestReadersAreLinear(t *testing.T) {
	const size = 1 << 20
	units := []string{"{", "[", "{\"a\":", "\"", "'", "\\", "/*", "//", "a: {", "- ", "- a:\n", "a:\n", " ", "\n", "=", ":", "a=b ", "a:\n ", "<", "<a>", "<a b=\"", "<!--", "</a>", "&", "://", "a://b:c@", "@",
		"machine ", "machine a login b ", "password a ", "macdef ", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("MIIE", 20) + "\n", "PuTTY-User-Key-File-", "\"\"\"", "a = [", "[a", "a = \"\"\"\n", "---\n", "kind: Secret\n", "---\nkind: Secret\n", "a: |\n", "x", "\x00", "--a ", "<<\"a\">>,", "a = 'b' ", "/t/", "https://a/t/b\n"}
	for name, read := range everyReader {
		for _, unit := range units {
			text := []byte(strings.Repeat(unit, size/len(unit)))
			start := time.Now()
			read(text, func(pair) bool { return true })
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s takes %v for %d times %q", name, took, size/len(unit), unit)
			}
		}
	}
}

func FuzzReaders(f *testing.F) {
	for _, s := range samples(f) {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		for name, read := range everyReader {
			n := 0
			read(text, func(p pair) bool {
				if p.start < 0 || p.start > p.end || p.end > len(text) || len(p.key) > maxKey {
					t.Errorf("%s: %+v of %d bytes", name, p, len(text))
				}
				n++
				return true
			})
			if n > 2*len(text)+2 {
				t.Errorf("%s: %d pairs in %d bytes", name, n, len(text))
			}
		}
		if !bytes.Equal(before, text) {
			t.Error("a reader changes the text")
		}
	})
}

func FuzzFormats(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.path, []byte(s.text))
	}
	f.Fuzz(func(t *testing.T, path string, text []byte) {
		formatsFor(path)
		for i := range formats {
			formats[i].find(text, func(m Match) bool {
				if m.Rule == nil || m.Start < 0 || m.Start >= m.End || m.End > len(text) {
					t.Errorf("%s: %+v of %d bytes", formats[i].rule.ID, m, len(text))
				}
				return true
			})
		}
	})
}
