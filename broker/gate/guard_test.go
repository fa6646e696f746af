package gate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

func testNeedles(t testing.TB, value []byte) *proof.Needles {
	t.Helper()
	n, err := proof.NewNeedles([]proof.Secret{{ID: "npm", Value: secret.NewValue(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flushed packs text as gzip, and flushes after each piece.
func flushed(t testing.TB, text []byte, piece int) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	for len(text) > 0 {
		n := min(piece, len(text))
		_, err := zw.Write(text[:n])
		if err == nil {
			err = zw.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNothingOfIt wants not even the beginning of a credential to be passed on, packed or not, in pieces of any size.
func TestNothingOfIt(t *testing.T) {
	value := secrettest.Canary(t)
	needles := testNeedles(t, value)
	for _, before := range []int{0, 10, 32 << 10, 100_000, 400_000, 1 << 20} {
		text := append(append(randomBytes(before), value...), randomBytes(300_000)...)
		for name, make := range map[string]func() io.Reader{
			"raw":                func() io.Reader { return bytes.NewReader(text) },
			"gzip":               func() io.Reader { return bytes.NewReader(zipped(string(text))) },
			"gzip, flushed":      func() io.Reader { return bytes.NewReader(flushed(t, text, 5)) },
			"gzip, now and then": func() io.Reader { return bytes.NewReader(flushed(t, text, 40_000)) },
		} {
			for kind, src := range map[string]io.Reader{"at once": make(), "half": iotest.HalfReader(make()), "with the error": iotest.DataErrReader(make())} {
				got, err := io.ReadAll(newUnzipGuard(newGuard(src, needles, -1), needles, -1, false))
				if !errors.Is(err, errLeak) {
					t.Errorf("%s %s after %d bytes: %v", name, kind, before, err)
				}
				if plain := unpacked(got, name != "raw"); bytes.HasSuffix(plain, value[:4]) || len(plain) > before+3 || bytes.Contains(plain, value[:8]) {
					t.Errorf("%s %s after %d bytes: %d bytes were passed on", name, kind, before, len(plain))
				}
			}
		}
	}
}

// unpacked is as much as can be unpacked of the beginning of a file.
func unpacked(b []byte, zipped bool) []byte {
	if !zipped {
		return b
	}
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	var out []byte
	buf := make([]byte, 1<<10)
	for {
		n, err := zr.Read(buf)
		out = append(out, buf[:n]...)
		if err != nil {
			return out
		}
	}
}

// TestProgress wants most of a body to be passed on before its end is there.
func TestProgress(t *testing.T) {
	needles := testNeedles(t, secrettest.Canary(t))
	for name, packed := range map[string][]byte{"raw": randomBytes(1 << 20), "gzip": zipped(string(randomBytes(1 << 20)))} {
		src, to := io.Pipe()
		go func() { _, _ = to.Write(packed[:1<<19]) }()
		g := newUnzipGuard(newGuard(src, needles, -1), needles, -1, false)
		if n, err := io.ReadFull(g, make([]byte, 300_000)); err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		src.Close()
	}
}

// FuzzGuards wants bodies without a credential to arrive as they are, and those with one to end before it.
func FuzzGuards(f *testing.F) {
	f.Add([]byte("hello"), []byte(" world"), true)
	f.Add(zipped("hello"), []byte{}, false)
	f.Add([]byte{0x1f, 0x8b, 8, 0}, []byte("x"), false)
	value := []byte("canary-0123456789abcdefghij")
	needles := testNeedles(f, value)
	f.Fuzz(func(t *testing.T, before, after []byte, with bool) {
		body := append([]byte{}, before...)
		if with {
			body = append(body, value...)
		}
		body = append(body, after...)
		got, err := io.ReadAll(newUnzipGuard(newGuard(iotest.HalfReader(bytes.NewReader(body)), needles, -1), needles, -1, false))
		switch {
		case with && (!errors.Is(err, errLeak) || bytes.Contains(got, value)):
			t.Errorf("%q passed with %v", got, err)
		case !with && err == nil && !bytes.Equal(got, body):
			t.Errorf("%q became %q", body, got)
		case err != nil && !errors.Is(err, errLeak) && !errors.Is(err, errHeldBack):
			t.Errorf("%q: %v", body, err)
		}
	})
}
