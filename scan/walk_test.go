package scan

import (
	"archive/zip"
	"slices"
	"strings"
	"testing"
)

// A packer puts one file called x in a container, and says what is then between the container's path and the file's.
type packer struct {
	name string
	pack func(data string) []byte
	step string // what the container adds to the path of what is in it
}

var packers = []packer{
	{"tar", func(s string) []byte { return tarOf("x", s) }, "/x"},
	{"gzip", gzipOf, ""},
	{"zstd", func(s string) []byte { return zstdOf(s) }, ""},
	{"xz", xzOf, ""},
	{"zip deflate", func(s string) []byte { return zipOf(zip.Deflate, "x", s) }, "/x"},
	{"zip deflate, size ahead", func(s string) []byte { return zipRaw(zip.Deflate, 0, "x", deflateOf(s)) }, "/x"},
	{"zip stored, size ahead", func(s string) []byte { return zipRaw(zip.Store, 0, "x", []byte(s)) }, "/x"},
	{"zip zstd, size behind", func(s string) []byte { return zipPiped(93, "x", zstdOf(s)) }, "/x"},
	{"zip stored, size behind", func(s string) []byte { return zipOf(zip.Store, "x", s) }, "/x"},
	{"zip zstd", func(s string) []byte { return zipRaw(93, 0, "x", zstdOf(s)) }, "/x"},
	{"zip xz", func(s string) []byte { return zipRaw(95, 0, "x", xzOf(s)) }, "/x"},
	{"ar", func(s string) []byte { return concat(arOf("odd", "1"), arOf("x/", s)[8:], arOf("last", "")[8:]) }, "/x"},
	{"cpio newc", func(s string) []byte { return cpioNewc("x", s) }, "/x"},
	{"cpio odc", func(s string) []byte { return cpioODC("x", s) }, "/x"},
	{"git pack", blobPack, "/12"},
}

// inLayer is the path of what is packed by the packers, the first innermost, in the file f of a layer.
func inLayer(inner ...packer) string {
	path := "f"
	for _, p := range slices.Backward(inner) {
		if strings.HasSuffix(path, "!") && p.step != "" {
			path += p.step
		} else {
			path += "!" + p.step
		}
	}
	return path
}

func TestWalkFindsEveryFormatInEveryOther(t *testing.T) {
	for _, inner := range packers {
		for _, outer := range packers {
			t.Run(inner.name+" in "+outer.name, func(t *testing.T) {
				c := canary()
				packed := outer.pack(string(inner.pack(c + strings.Repeat("!", 40_000))))
				layer := gzipOf(string(tarOf("a", "before", "f", string(packed), "z", "after")))
				rec := walk(t, layer, Limits{MustUnpack: true})
				if got, want := rec.where(c), inLayer(inner, outer); !slices.Contains(got, want) {
					t.Errorf("found at %q, not at %q", got, want)
				}
				if got := rec.where("after"); !slices.Equal(got, []string{"z"}) {
					t.Errorf("what follows is found at %q", got)
				}
				if len(rec.unread) > 0 {
					t.Errorf("unread: %q", rec.unread)
				}
			})
		}
	}
}

func TestWalkReadsByteByByte(t *testing.T) {
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			c := canary()
			data := p.pack(string(p.pack(c)))
			rec := walkReader(t, data, slowly(data), Limits{})
			if len(rec.where(c)) == 0 || len(rec.unread) > 0 {
				t.Errorf("found at %q, unread %q", rec.where(c), rec.unread)
			}
		})
	}
}

func TestWalkPathReadsWell(t *testing.T) {
	c := canary()
	inZip := zipOf(zip.Deflate, "dir/x.txt", c)
	inTar := xzOf(string(tarOf("pack/y.zip", string(inZip))))
	layer := gzipOf(string(tarOf("usr/share/data.gz", string(gzipOf(string(inTar))))))
	rec := walk(t, layer, Limits{MustUnpack: true})
	want := "usr/share/data.gz!!/pack/y.zip!/dir/x.txt"
	if got := rec.where(c); !slices.Contains(got, want) {
		t.Errorf("found at %q, not at %q", got, want)
	}
	last := rec.streams[len(rec.streams)-1]
	if got := last.path.File(); got != "usr/share/data.gz" {
		t.Errorf("File() is %q", got)
	}
}

func TestWalkFixedSamples(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		data       []byte
	}{
		{"bzip2", bzip2Text, sample(bzip2Sample)},
		{"zip bzip2", bzip2Text, zipRaw(12, 0, "x", sample(bzip2Sample))},
		{"xz with a filter", bcjText, sample(bcjSample)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := walk(t, tarOf("f", string(tc.data)), Limits{})
			if got := len(rec.where(tc.text)); got != 5 {
				t.Errorf("found %d times, unread: %q", got, rec.unread)
			}
		})
	}
}

func TestWalkReadsWhatFollows(t *testing.T) {
	first, second := canary(), canary()
	gz := []byte(gzipOf(second))
	for _, tc := range []struct {
		name string
		data []byte
	}{
		{"tar after tar", concat(tarOf("a", first), tarOf("b", second))},
		{"tar after padded tar", concat(tarOf("a", first), zeros(9*512), tarOf("b", second))},
		{"plain data after tar", concat(tarOf("a", first), []byte(second))},
		{"gzip members", concat(gzipOf(first), gzipOf(second))},
		{"gzip after padded gzip", concat(gzipOf(first), zeros(700), gz)},
		{"plain data after gzip", concat(gzipOf(first), []byte(second))},
		{"zstd frames", concat(zstdOf(first), zstdOf(second))},
		{"zstd, skippable frames", concat(skippable("x"), zstdOf(first), skippable("y"), zstdOf(second), skippable(""))},
		{"gzip after zstd", concat(zstdOf(first), gz)},
		{"plain data after zstd", concat(zstdOf(first), []byte(second))},
		{"xz streams", concat(xzOf(first), xzOf(second))},
		{"xz after padded xz", concat(xzOf(first), zeros(8), xzOf(second))},
		{"gzip after xz", concat(xzOf(first), gz)},
		{"plain data after xz", concat(xzOf(first), []byte(second))},
		{"bzip2 and gzip", concat(gzipOf(first), sample(bzip2Sample), gz)},
		{"bzip2 and one byte", concat(gzipOf(first), gz, sample(bzip2Sample), []byte("\n"))},
		{"bzip2 files", concat(gzipOf(first), sample(bzip2Sample), sample(bzip2Sample), gz)},
		{"zip after zip", concat(zipOf(zip.Deflate, "a", first), zipOf(zip.Deflate, "b", second))},
		{"zip with something between its members", zipWithGap(first, second)},
		{"cpio after cpio", concat(cpioNewc("a", first), zeros(400), cpioNewc("b", second))},
		{"zip after a script", concat([]byte("#!/bin/sh\nexec java -jar $0 "+first+"\n"), zipOf(zip.Deflate, "b", second))},
		{"tar.gz after a script", concat([]byte("#!/bin/sh\n# "+first+"\nexit\n"), gzipOf(string(tarOf("b", second))))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, data := range [][]byte{tc.data, tarOf("f", string(tc.data))} {
				rec := walk(t, data, Limits{})
				if len(rec.where(first)) == 0 || len(rec.where(second)) == 0 || len(rec.unread) > 0 {
					t.Errorf("found at %q and %q, unread %q", rec.where(first), rec.where(second), rec.unread)
				}
			}
		})
	}
}

func skippable(data string) []byte {
	return []byte("\x53\x2a\x4d\x18" + string([]byte{byte(len(data)), 0, 0, 0}) + data)
}

// zipWithGap is a zip file with the signature block of an Android package.
func zipWithGap(first, second string) []byte {
	a, b := zipOf(zip.Deflate, "a", first), zipOf(zip.Deflate, "b", second)
	directory := strings.Index(string(b), zipCentral)
	local := strings.Index(string(a), zipCentral)
	return concat(a[:local], b[:directory], []byte("gap PK PK\x03 P"), b[directory:])
}
