package scan

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"io"
	"testing"
)

// fuzzLimits keep a run short: what is over them ends in an Unread.
var fuzzLimits = Limits{Depth: 6, Bytes: 4 << 20, Window: 16 << 20}

func fuzzWalk(f *testing.F, seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		walk(t, data, fuzzLimits)
		walk(t, tarOf("f", string(data), "g", "after"), fuzzLimits)
	})
}

func FuzzTar(f *testing.F) {
	fuzzWalk(f, tarOf("a", "x", "b", string(gzipOf("y"))), tarOf("a", string(tarOf("b", "x"))), zeros(1024))
}

func FuzzGzip(f *testing.F) { fuzzWalk(f, gzipOf("x"), concat(gzipOf("x"), gzipOf("y"), []byte("z"))) }

func FuzzZstd(f *testing.F) {
	fuzzWalk(f, zstdOf("x"), concat(skippable("a"), zstdOf("x"), zstdOf("y")), zstdWindow("x"), []byte("\x28\xb5\x2f\xfd\xa0\xa0\xa0\xa0"))
}

func FuzzXZ(f *testing.F) { fuzzWalk(f, xzOf("x"), concat(xzOf("x"), xzOf("y")), sample(bcjSample)) }

func FuzzBzip2(f *testing.F) {
	fuzzWalk(f, sample(bzip2Sample), concat(sample(bzip2Sample), sample(bzip2Sample)))
}

func FuzzZlib(f *testing.F) {
	fuzzWalk(f, []byte(zlibOf(f, "x", zlib.BestCompression)), []byte(zlibOf(f, "x", zlib.NoCompression)))
}

func FuzzZip(f *testing.F) {
	fuzzWalk(f, zipOf(zip.Deflate, "a", "x"), zipOf(zip.Store, "a", "x"), zipRaw(93, 0, "a", zstdOf("x")),
		zipPiped(93, "a", zstdOf("x")), zipRaw(zip.Deflate, 1, "a", []byte("x")), zipWithGap("x", "y"))
}

func FuzzAr(f *testing.F) {
	fuzzWalk(f, arOf("a/", "x"), arOf("#1/4", "namex"), concat(arOf("//", "name/\n"), arOf("/0", "x")[8:]))
}

func FuzzCPIO(f *testing.F) { fuzzWalk(f, cpioNewc("a", "x"), cpioODC("a", "x")) }

func FuzzGitPack(f *testing.F) {
	fuzzWalk(f, blobPack("x"), blobPack(string(gzipOf("y"))), packOf(packObjectOf(packNameDelta, noise(20), "x")),
		packOf(packObjectOf(packNameDelta, noise(32), "x")), packOf(packObjectOf(1, "", "x"))[:20])
}

// FuzzFrames checks that a decoder's input ends exactly where the compressed stream does.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("x"), []byte("tail"))
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, data, tail []byte) {
		tail = append([]byte{0xee}, tail...) // no magic, no padding
		for _, packed := range [][]byte{zstdOf(string(data)), xzOf(string(data)), gzipOf(string(data)), sample(bzip2Sample)} {
			w := &walker{ctx: t.Context(), visitor: &recorder{t: t}, limits: Limits{}.withDefaults()}
			s := &stream{w: w, src: bytes.NewReader(concat(packed, tail)), path: &Path{}, root: true}
			in := newInput(smallBuffers, s, 0)
			if _, err := w.open(in, in.sniff(), false); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(in.Reader); err != nil || !bytes.Equal(rest, tail) {
				t.Errorf("%s left %q of %q (%v)", Sniff(packed), rest, tail, err)
			}
		}
	})
}
