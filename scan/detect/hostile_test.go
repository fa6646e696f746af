package detect

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// shrinking is base64 in lines, each shorter than the one before, again and again.
func shrinking(times int) string {
	var b strings.Builder
	for i := range times {
		b.WriteString(strings.Repeat("YWFh", 64)[:256-i%200] + "\n")
	}
	return b.String()
}

// TestHostile has texts that are made of nothing but the beginnings of tokens. Each is searched in bounded time, and what is left out
// is told; a long list of addresses is none of them.
func TestHostile(t *testing.T) {
	d := New()
	for _, piece := range []string{"ops_eyJ_", "ghs_1_ey", "glcbt-eyJ", "-----BEGIN ", "token=", "AKIA"} {
		text := bytes.Repeat([]byte(piece), 1<<18/len(piece))
		if found, more := d.Search(Content{Data: text}); len(found) > 0 {
			t.Errorf("%q, again and again: found %d, more %v", piece, len(found), more)
		}
	}
	if _, more := d.Search(Content{Data: bytes.Repeat([]byte("ops_eyJ_"), 1<<18/8)}); !more {
		t.Error("what was not looked at is not told")
	}
	var wide []byte
	for _, c := range bytes.Repeat([]byte("ops_eyJ_"), 1<<16/8) {
		wide = append(wide, c, 0)
	}
	if _, more := d.Search(Content{Data: wide}); !more {
		t.Error("what was not looked at in UTF-16 is not told")
	}
	for name, text := range map[string]string{
		"lines of base64 of the beginnings of tokens": broken(strings.Repeat("token=ghs_1_ey ", 1<<20/15), 76, "\n", ""),
		"base64 in base64 in base64":                  b64(b64(b64(strings.Repeat("no secret here. ", 1<<16)))),
		"short base64":                                strings.Repeat(b64(strings.Repeat("ghs_1_ey ", 5))+" ", 1<<14),
		"lines that get shorter":                      shrinking(1 << 10),
		"padding":                                     strings.Repeat(strings.Repeat("YWFh", 16)+"==\n", 1<<14),
		"backslashes":                                 strings.Repeat(strings.Repeat("YWFh", 16)+`\r\n`, 1<<14),
	} {
		start := time.Now()
		if found, more := d.Search(Content{Data: []byte(text)}); len(found) > 0 {
			t.Errorf("%s: found %d, more %v", name, len(found), more)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s take %v for %d bytes", name, took, len(text))
		}
	}
	if _, more := d.Search(Content{Data: []byte(broken(strings.Repeat("ops_eyJ_", 1<<18/8), 76, "\n", ""))}); !more {
		t.Error("what was not looked at in lines of base64 is not told")
	}
	var list bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&list, "https://npm.corp.example/a/core_%d.tgz re_%d\n", i, i)
	}
	if found, more := d.Search(Content{Data: list.Bytes()}); len(found) > 0 || more {
		t.Errorf("a list of addresses: found %d, more %v", len(found), more)
	}
}
