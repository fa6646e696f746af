package redact

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

func TestGrows(t *testing.T) {
	first, second, third := rand.Text(), rand.Text(), rand.Text()
	r := redactorOf(t, first)
	s := r.NewStream()
	var got strings.Builder
	push := func(text string) { got.Write(s.Push([]byte(text))) }
	push("a " + first + " b " + first[:10]) // its end comes after the redactor has grown
	for _, v := range []string{second, third} {
		n, err := proof.NewNeedles([]proof.Secret{{ID: "m", Value: secret.NewValue([]byte(v))}})
		if err != nil {
			t.Fatal(err)
		}
		r.Add(n)
	}
	push(first[10:] + " c ")
	push(second[:7])
	push(second[7:] + third + first + second + " d ")
	push(base64.RawStdEncoding.EncodeToString([]byte(third)) + " e " + second[:9])
	got.Write(s.Flush())
	if want := "a *** b *** c *** d *** e ***"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
	if text := r.String("x " + second + third + " y"); text != "x *** y" {
		t.Errorf("got %q", text)
	}
}
