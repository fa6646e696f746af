package proof

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
)

func TestTooShortIsRefusedUnlessWaived(t *testing.T) {
	for _, value := range []string{"", "1234567", "1234567\n", "  1234567   "} {
		_, err := NewNeedles([]Secret{{ID: "pin", Value: secret.NewValue([]byte(value))}})
		var short *TooShortError
		if !errors.As(err, &short) || short.ID != "pin" || short.Len != len(strings.TrimSpace(value)) {
			t.Errorf("%q: %v", value, err)
		}
		n, err := NewNeedles([]Secret{{ID: "pin", Value: secret.NewValue([]byte(value)), Waived: true}})
		if err != nil || n.Len() != 0 || !slices.Equal(n.Waived(), []string{"pin"}) || leaks(n, []byte("1234567 "+value)) {
			t.Errorf("%q waived: %v", value, err)
		}
	}
	n, err := NewNeedles([]Secret{{ID: "x", Value: secret.NewValue([]byte("\x00\x00\x00\x00\x00\x00\x00\x00")), Waived: true}})
	if err != nil || n.Len() == 0 || len(n.Waived()) != 0 {
		t.Errorf("8 bytes need no waiver: %v", err)
	}
}

func TestNeedlesAndScannersPrintNothing(t *testing.T) {
	value := token(20)
	n := needlesFor(t, []byte(value))
	s := n.NewScanner(func(Hit) {})
	_, _ = s.Write([]byte("x" + value))
	m := n.NewMasker(func([]byte, bool) {})
	_, _ = m.Write([]byte(value[:10]))
	var text strings.Builder
	for _, v := range []any{n, *n, s, *s, m, *m, struct{ a any }{n}, struct{ a any }{s}, struct{ a any }{m}, struct{ n Needles }{*n}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			fmt.Fprintf(&text, verb, v)
		}
		encoded, _ := json.Marshal(v)
		text.Write(encoded)
		slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
	}
	for i := range len(value) - 4 {
		for _, part := range []string{value[i : i+4], fmt.Sprintf("%x", value[i:i+4]), fmt.Sprint([]byte(value[i : i+3]))[1:8]} {
			if strings.Contains(text.String(), part) {
				t.Fatal("a part of the value was printed")
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	a, b := Secret{ID: "a", Value: secret.NewValue(canary(20))}, Secret{ID: "b", Value: secret.NewValue(canary(20))}
	print := func(key string, secrets ...Secret) [32]byte {
		n, err := NewNeedles(secrets)
		if err != nil {
			t.Fatal(err)
		}
		return n.Fingerprint([]byte(key))
	}
	if print("k", a, b) != print("k", b, a) {
		t.Error("depends on the order")
	}
	seen := map[[32]byte]bool{}
	for _, f := range [][32]byte{print("k", a, b), print("other", a, b), print("k", a), print("k", Secret{ID: "b", Value: a.Value}, Secret{ID: "a", Value: b.Value}),
		print("k", a, b, Secret{ID: "w", Value: secret.NewValue([]byte("x")), Waived: true})} {
		if seen[f] {
			t.Error("two sets have the same fingerprint")
		}
		seen[f] = true
	}
}

func TestHitTellsIDEncodingAndPlace(t *testing.T) {
	value := token(24)
	n := needlesFor(t, []byte(value))
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	text := "12345" + value + "\n" + encoded
	var got []Hit
	n.Find([]byte(text), func(h Hit) { got = append(got, h) })
	want := []Hit{{Secret: "s", Encoding: "raw", Offset: 5, Length: 24}, {Secret: "s", Encoding: "base64", Offset: 30, Length: 32}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if !slices.Equal(n.Encodings(), []string{"base64", "hex", "json", "percent", "raw", "utf-16"}) {
		t.Errorf("encodings %v", n.Encodings())
	}
}

func TestHugeValueIsCheap(t *testing.T) {
	for name, value := range map[string][]byte{"binary": canary(20 << 20), "text": []byte(wrap(base64.StdEncoding.EncodeToString(canary(14<<20)), 76, "\n"))} {
		t.Run(name, func(t *testing.T) {
			sealed := secret.NewValue(value)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			n, err := NewNeedles([]Secret{{ID: "s", Value: sealed}})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			garbage := after.TotalAlloc - before.TotalAlloc
			runtime.GC()
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			live := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			if live > 4<<20 || garbage > 32<<20 || took > 5*time.Second {
				t.Errorf("%d bytes kept, %d allocated in %v", live, garbage, took)
			}
			for kind, text := range map[string][]byte{"raw": value, "base64": []byte(base64.StdEncoding.EncodeToString(value)), "wrapped": []byte(wrap(base64.StdEncoding.EncodeToString(value[:4<<20]), 76, "\n"))} {
				if !leaks(n, text) {
					t.Errorf("%s is not found", kind)
				}
			}
		})
	}
}

func TestManyLinesAreBounded(t *testing.T) {
	var value strings.Builder
	for value.Len() < longValue-100 {
		fmt.Fprintf(&value, "%s\n", token(12))
	}
	n := needlesFor(t, []byte(value.String()))
	line, _, _ := strings.Cut(value.String(), "\n")
	if !leaks(n, []byte(line)) || n.Len() > 10000 {
		t.Errorf("%d needles", n.Len())
	}
}
