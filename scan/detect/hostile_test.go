package detect

import (
	"bytes"
	"fmt"
	"testing"
)

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
	var list bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&list, "https://npm.corp.example/a/core_%d.tgz re_%d\n", i, i)
	}
	if found, more := d.Search(Content{Data: list.Bytes()}); len(found) > 0 || more {
		t.Errorf("a list of addresses: found %d, more %v", len(found), more)
	}
}
