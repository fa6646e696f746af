package redact

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// redactorOf masks the values, the short ones waived.
func redactorOf(t testing.TB, values ...string) *Redactor {
	t.Helper()
	var secrets []proof.Secret
	for _, v := range values {
		secrets = append(secrets, proof.Secret{ID: "s", Value: secret.NewValue([]byte(v)), Waived: true})
	}
	n, err := proof.NewNeedles(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return New(n)
}

func TestBytes(t *testing.T) {
	token := rand.Text()
	key := token + "\n" + rand.Text() + "\r\n"
	r := redactorOf(t, token, key, "p1n", "x")
	tests := []struct{ name, text, want string }{
		{"nothing", "a log line\n", "a log line\n"},
		{"empty", "", ""},
		{"raw", "token=" + token + ";", "token=***;"},
		{"adjacent", token + token, "***"},
		{"waived", "pin p1n.", "pin ***."},
		{"waived in base64", base64.StdEncoding.EncodeToString([]byte("p1n")), "***"},
		{"one letter", "fox", "fo***"},
		{"hex", hex.EncodeToString([]byte(token)), "***"},
		{"lines", "a\n" + key + "b", "a\n***b"},
		{"cut off", "end " + token[:12], "end ***"},
	}
	for _, test := range tests {
		if got := string(r.Bytes([]byte(test.text))); got != test.want || r.String(test.text) != got {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if r.Bytes(nil) != nil {
		t.Error("something was made of nothing")
	}
}

func TestStreamEqualsWhole(t *testing.T) {
	for range 100 {
		value := rand.Text()[:8+mathrand.IntN(18)] + strings.Repeat(" '\n"+rand.Text(), mathrand.IntN(8))
		pin := rand.Text()[:5]
		r := redactorOf(t, value, pin)
		quoted := url.QueryEscape(value)
		encoded := base64.StdEncoding.EncodeToString([]byte(value))
		log := []byte(strings.Join([]string{"begin", value, pin + value, quoted, value[:5], encoded, "middle\n", encoded + encoded, value[3:], pin, "end"}, " "))
		want := string(r.Bytes(log))
		for _, part := range []string{value, pin, quoted, encoded[:len(encoded)-4]} {
			if strings.Contains(want, part) {
				t.Fatalf("%q is shown", part)
			}
		}
		var got bytes.Buffer
		w := r.Writer(&got)
		for rest := log; len(rest) > 0; {
			size := min(1+mathrand.IntN(20), len(rest))
			if _, err := w.Write(rest[:size]); err != nil {
				t.Fatal(err)
			}
			rest = rest[size:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Fatalf("of %q\n in chunks %q\nat once %q", log, got.String(), want)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add("abcabcabcabd", "abcabcabcabcabd", 2)
	f.Add("aaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaab", 3)
	f.Fuzz(func(t *testing.T, value, log string, size int) {
		if size < 1 {
			return
		}
		r := redactorOf(t, value)
		s := r.NewStream()
		var got []byte
		for rest := []byte(log + value + log); len(rest) > 0; {
			n := min(size, len(rest))
			got = append(got, s.Push(rest[:n])...)
			rest = rest[n:]
		}
		got = append(got, s.Flush()...)
		if want := r.String(log + value + log); string(got) != want {
			t.Errorf("of %q around %q\n in chunks %q\nat once %q", log, value, got, want)
		}
		if value != "" && !strings.Contains(value, "*") && strings.Contains(string(got), value) {
			t.Errorf("%q is shown in %q", value, got)
		}
	})
}

// broken is a writer that fails.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriterPassesErrorsOn(t *testing.T) {
	w := redactorOf(t, rand.Text()).Writer(broken{})
	if _, err := w.Write([]byte("a line\n")); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkStream(b *testing.B) {
	r := redactorOf(b, rand.Text(), base64.StdEncoding.EncodeToString([]byte(strings.Repeat(rand.Text(), 60))))
	log := []byte(strings.Repeat("#12 3.456 Get:42 http://deb.example/debian bookworm/main amd64 libfoo1 amd64 1.2.3-4 [123 kB]\n", 500))
	b.SetBytes(int64(len(log)))
	s := r.NewStream()
	for b.Loop() {
		s.Push(log)
	}
}
