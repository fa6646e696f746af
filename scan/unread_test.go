package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// noise is always the same and does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, err := rand.NewChaCha8([32]byte{}).Read(b)
	must(err)
	return string(b)
}

// edit returns a copy of b, changed by f.
func edit(b []byte, f func(b []byte)) []byte {
	b = bytes.Clone(b)
	f(b)
	return b
}

func flip(at int) func(b []byte) { return func(b []byte) { b[at] ^= 0xff } }

func TestWalkTellsWhatItCannotRead(t *testing.T) {
	big := noise(300_000)
	zipped := zipOf(zip.Deflate, "m", big)
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"gzip, cut off", gzipOf(big)[:200_000], "f: damaged"},
		{"gzip, wrong in the middle", edit(gzipOf(big), flip(150_000)), "f: damaged"},
		{"gzip, wrong checksum", edit(gzipOf("x"), flip(len(gzipOf("x"))-6)), "f: damaged"},
		{"gzip, second member cut off", concat(gzipOf("x"), gzipOf(big)[:12]), "f: damaged"},
		{"zstd, cut off", zstdOf(big)[:200_000], "f: damaged"},
		{"zstd, wrong in the middle", edit(zstdOf(big), flip(200_000)), "f: damaged"},
		{"zstd, second header cut off", concat(zstdOf("x"), zstdOf(big)[:5]), "f: damaged"},
		{"zstd, dictionary", []byte("\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00x"), "f: unsupported"},
		{"xz, cut off", xzOf(big)[:200_000], "f: damaged"},
		{"xz, wrong in the middle", edit(xzOf(big), flip(200_000)), "f: damaged"},
		{"xz, wrong index", edit(xzOf(big), flip(len(xzOf(big))-20)), "f: damaged"},
		{"bzip2, cut off", concat(sample(bzip2Sample), sample(bzip2Sample)[:60]), "f: damaged"},
		{"tar, cut off", tarOf("a", big)[:200_000], "f: damaged"},
		{"tar, wrong header", edit(tarOf("a", "x", "b", "y"), flip(1030)), "f: damaged"},
		{"tar in gzip, cut off", gzipOf(string(tarOf("a", big)[:200_000])), "f!: damaged"},
		{"ar, cut off", concat(arOf("a", "x"), arOf("b", "y")[8:40]), "f: damaged"},
		{"cpio, without an end", cpioNewc("a", big)[:100_000], "f: damaged"},
		{"git pack, cut off", blobPack(big)[:200_000], "f: damaged"},
		{"git pack, no checksum", blobPack(big)[:len(blobPack(big))-1], "f: damaged"},
		{"git pack, wrong in the middle", packOf(packObjectOf(3, "", big), []byte("\x30\x78\x9c\xff\xff")), "f: damaged"},
		{"git pack, wrong size", edit(blobPack(big), func(b []byte) { b[14]++ }), "f: damaged"},
		{"git pack, unknown object", packOf(packObjectOf(3, "", "x"), packObjectOf(5, "", "y")), "f: damaged"},
		{"git pack, endless size", packOf(packObjectOf(3, "", "x"), bytes.Repeat([]byte{0xb0}, 99)), "f: damaged"},
		{"git pack, endless offset", packOf(packObjectOf(3, "", "x"), packObjectOf(6, strings.Repeat("\xff", 99), "y")), "f: damaged"},
		{"git pack, no base", packOf(packObjectOf(3, "", "x"), packObjectOf(7, "", "y")), "f: damaged"},
		{"zip, cut off in a member", zipped[:200_000], "f!/m: damaged"},
		{"zip, wrong in a member", zipRaw(zip.Deflate, 0, "m", brokenDeflate(big)), "f!/m: damaged"},
		{"zip, no directory", zipped[:bytes.Index(zipped, []byte(zipCentral))], "f: damaged"},
		{"zip, encrypted", zipRaw(zip.Deflate, 1, "m", []byte(big)), "f!/m: encrypted"},
		{"zip, encrypted, size behind", edit(zipOf(zip.Store, "m", big), func(b []byte) { b[6] |= 1 }), "f!/m: encrypted"},
		{"zip, unknown method", zipRaw(14, 0, "m", []byte(big)), "f!/m: unsupported"},
		{"zip, size nowhere", edit(zipOf(zip.Store, "m", big), func(b []byte) { b[bytes.Index(b, []byte(zipSize))] = 'Q' }), "f!/m: damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			after := canary()
			rec := walk(t, tarOf("f", string(tc.data), "g", string(gzipOf(after))), Limits{})
			if !slices.Contains(rec.unread, tc.want) {
				t.Errorf("unread: %q, not %q", rec.unread, tc.want)
			}
			if got := rec.where(after); !slices.Contains(got, "g!") {
				t.Errorf("what follows is found at %q", got)
			}
		})
	}
}

// brokenDeflate is good up to a block of a type that does not exist.
func brokenDeflate(data string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	must(err)
	_, err = io.WriteString(w, data)
	must(err, w.Flush())
	return append(b.Bytes(), 0x07)
}

// zstdWindow is a frame of one block that is not compressed, but needs a window of 64 MiB.
func zstdWindow(data string) []byte {
	n := len(data)<<3 | 1
	return []byte("\x28\xb5\x2f\xfd\x00\x80" + string([]byte{byte(n), byte(n >> 8), byte(n >> 16)}) + data)
}

func TestWalkTakesChanceMagicsForData(t *testing.T) {
	for name, data := range map[string]string{
		"gzip":      "\x1f\x8b\x08\x00 this is no gzip file",
		"gzip name": "\x1f\x8b\x08\x08 a name that does not end",
		"zstd":      "\x28\xb5\x2f\xfd this is no zstd frame",
		"xz":        "\xfd7zXZ\x00 this is no xz stream",
		"bzip2":     "BZh9\x31\x41\x59\x26\x53\x59 this is no block",
		"zip":       "PK\x03\x04 is what zip files start with, and then come some numbers",
		"ar":        "!<arch>\nthis is no header, although it has all of the sixty bytes",
		"git pack":  "PACK\x00\x00\x00\x02\x00\x00\x00\x01 is no object",
		"word":      "PACK my box with five dozen liquor jugs",
		"script":    "#!/bin/sh\necho PK\n\x1f\x8b\x08\x00 no gzip\n",
	} {
		t.Run(name, func(t *testing.T) {
			rec := walk(t, []byte(data), Limits{})
			if len(rec.unread) > 0 || len(rec.streams) > 1 {
				t.Errorf("unread %q in %d streams", rec.unread, len(rec.streams))
			}
		})
	}
}

func TestWalkMustUnpack(t *testing.T) {
	for _, tc := range []struct {
		name string
		data []byte
		want []string
	}{
		{"empty", nil, nil},
		{"tar without members", zeros(1024), nil},
		{"tar without members in gzip", gzipOf(string(zeros(1024))), nil},
		{"nothing in gzip", gzipOf(""), nil},
		{"tar in zstd in gzip", gzipOf(string(zstdOf(string(tarOf("a", "x"))))), nil},
		{"text", []byte("hello"), []string{": not-a-layer"}},
		{"zip", zipOf(zip.Deflate, "a", "x"), []string{": not-a-layer"}},
		{"text in gzip", gzipOf("hello"), []string{": not-a-layer"}},
		{"text after zeros", concat(zeros(1024), []byte("hello")), []string{": not-a-layer"}},
		{"gzip without content", gzipOf("x")[:10], []string{": damaged"}},
		{"tar, cut off", tarOf("a", noise(5000))[:3000], []string{": damaged"}},
		{"tar and plain data", concat(tarOf("a", "x"), []byte("hello")), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := walk(t, tc.data, Limits{MustUnpack: true})
			if !slices.Equal(rec.unread, tc.want) {
				t.Errorf("unread: %q, not %q", rec.unread, tc.want)
			}
		})
	}
}

func TestWalkReaderFails(t *testing.T) {
	broken := errors.New("the network is down")
	layer := gzipOf(string(tarOf("f", string(gzipOf(noise(100_000))))))
	r := io.MultiReader(bytes.NewReader(layer[:50_000]), iotest.ErrReader(broken))
	rec := &recorder{t: t}
	if err := Walk(t.Context(), r, "", rec, Limits{MustUnpack: true}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if len(rec.unread) > 0 {
		t.Errorf("unread: %q, although it was the reader", rec.unread)
	}
}

func TestWalkContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	r := readerFunc(func(p []byte) (int, error) {
		if read += len(p); read > 10<<20 {
			cancel()
		}
		return len(p), nil
	})
	if err := Walk(ctx, r, "", &recorder{t: t}, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if read > 11<<20 {
		t.Errorf("read %d bytes", read)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestDecoderContainsPanics(t *testing.T) {
	d := &decoder{w: &walker{}, r: readerFunc(func([]byte) (int, error) { panic("some of the data") })}
	_, err := d.Read(nil)
	if asUnread(err).Reason != Damaged || strings.Contains(err.Error(), "some") {
		t.Errorf("got %v", err)
	}
}

// A visitor's panic is a bug of the visitor, not damage in the data, even in the middle of nested decoders.
func TestWalkLetsVisitorPanic(t *testing.T) {
	defer func() {
		if v := recover(); v != "visitor" {
			t.Errorf("recovered %v", v)
		}
	}()
	data := gzipOf(string(gzipOf(noise(1 << 20))))
	_ = Walk(t.Context(), bytes.NewReader(data), "", &panicking{after: 3}, Limits{})
}

type panicking struct{ after int }

func (p *panicking) Stream(Path) Sink    { return p }
func (p *panicking) Unread(Path, error)  {}
func (p *panicking) Member(Path, int64)  {}
func (p *panicking) Text(string, string) {}
func (p *panicking) Close()              {}
func (p *panicking) Write([]byte) {
	if p.after--; p.after == 0 {
		panic("visitor")
	}
}

func TestZipDirectoryListsMore(t *testing.T) {
	z := zipOf(zip.Deflate, "a", noise(100))
	directory := bytes.Index(z, []byte(zipCentral))
	end := bytes.Index(z, []byte(zipEnd))
	data := concat(z[:end], z[directory:])
	if rec := walk(t, data, Limits{}); !slices.Equal(rec.unread, []string{": damaged"}) {
		t.Errorf("unread: %q", rec.unread)
	}
}

// Java's tools compress the nothing that is in a folder, with its size behind it.
func TestZipCompressedFolder(t *testing.T) {
	data := bytes.ReplaceAll(zipOf(zip.Deflate, "folderX", ""), []byte("folderX"), []byte("folder/"))
	if rec := walk(t, data, Limits{}); len(rec.unread) > 0 {
		t.Errorf("unread: %q", rec.unread)
	}
}

func TestZip64Sizes(t *testing.T) {
	c := canary()
	packed := deflateOf(c)
	b := zipRaw(zip.Deflate, 0, "m", packed)
	extra := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{9, 0, 1, 0, 'x', 1, 0, 16, 0}, uint64(len(c))), uint64(len(packed)))
	b = edit(concat(b[:zipLocalLen+1], extra, b[zipLocalLen+1:]), func(b []byte) {
		copy(b[18:], "\xff\xff\xff\xff\xff\xff\xff\xff")
		binary.LittleEndian.PutUint16(b[28:], uint16(len(extra)))
	})
	rec := walk(t, b, Limits{})
	if got := rec.where(c); !slices.Equal(got, []string{"m"}) || len(rec.unread) > 0 {
		t.Errorf("found at %q, unread %q", got, rec.unread)
	}
}

func TestSparseFile(t *testing.T) {
	c := canary()
	packed := gzipOf(c)
	// A GNU sparse file: its map is in the header, and its size there is that of the data.
	hdr := tarHeaders([]*tar.Header{{Name: "s", Format: tar.FormatGNU}}, []string{string(packed)})
	data := edit(hdr, func(b []byte) {
		b[156] = tar.TypeGNUSparse
		copy(b[386:], "00000000000\x00")      // offset of the data
		copy(b[398:], octal(len(packed)))     // its length
		copy(b[483:], octal(len(packed)+100)) // with the hole behind it
		copy(b[148:], "        ")
		sum := 0
		for _, c := range b[:512] {
			sum += int(c)
		}
		copy(b[148:], octal(sum)[4:])
	})
	rec := walk(t, data, Limits{})
	if got := rec.where(c); !slices.Contains(got, "s!") || len(rec.unread) > 0 {
		t.Errorf("found at %q, unread %q", got, rec.unread)
	}
}

func octal(n int) string {
	s := []byte("00000000000\x00")
	for i := 10; n > 0; i-- {
		s[i] = byte('0' + n&7)
		n >>= 3
	}
	return string(s)
}
