package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func TestWalkTexts(t *testing.T) {
	c := canary()
	split := strings.Repeat("d/", 30) + c[:20] + "/" + c + strings.Repeat("n", 60)
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"ustar prefix", header(tar.Header{Name: split, Format: tar.FormatUSTAR}), split + " name=" + split},
		{"GNU long name", header(tar.Header{Name: split, Format: tar.FormatGNU}), split + " name=" + split},
		{"PAX path", header(tar.Header{Name: "ä" + split, Format: tar.FormatPAX}), " pax path=ä" + split},
		{"xattr", header(tar.Header{Name: "a", PAXRecords: map[string]string{"SCHILY.xattr.user.k": c}}),
			"a pax SCHILY.xattr.user.k=" + c},
		{"link", header(tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: c}), "a link=" + c},
		{"user", header(tar.Header{Name: "a", Uname: "me-" + c[:20]}), "a user=me-" + c[:20]},
		{"group", header(tar.Header{Name: "a", Gname: "us-" + c[:20]}), "a group=us-" + c[:20]},
		{"global PAX", header(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": c}}),
			" pax comment=" + c},
		{"gzip name", gzipHeader(gzip.Header{Name: c}), " name=" + c},
		{"gzip comment", gzipHeader(gzip.Header{Comment: c}), " comment=" + c},
		{"gzip extra", gzipHeader(gzip.Header{Extra: []byte(c)}), " extra=" + c},
		{"zip name", zipOf(zip.Deflate, c, "x"), c + " name=" + c},
		{"zip comment of a member", zipOf(zip.Deflate, c, "x"), " comment=of " + c},
		{"zip comment", zipOf(zip.Deflate, c, "x"), " comment=of the archive"},
		{"ar", arOf("short/", "x"), "short name=short"},
		{"ar, GNU long name", concat(arOf("//", "other/\n"+c+"/\n"), arOf("/7", "x")[8:]), c + " name=" + c},
		{"ar, BSD long name", concat(arOf("#1/33", c+"xy"), arOf("z", "")[8:]), c + " name=" + c},
		{"cpio", cpioNewc(c, "x"), c + " name=" + c},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := walk(t, tc.data, Limits{})
			if !strings.Contains("\n"+rec.texts()+"\n", tc.want+"\n") {
				t.Errorf("no %q in\n%s", tc.want, rec.texts())
			}
			if len(rec.unread) > 0 {
				t.Errorf("unread: %q", rec.unread)
			}
		})
	}
}

func header(h tar.Header) []byte { return tarHeaders([]*tar.Header{&h}, []string{""}) }

func gzipHeader(h gzip.Header) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Header = h
	writeAll(w, nil, "x")
	return b.Bytes()
}

func TestPath(t *testing.T) {
	blob, named := Blob(""), Blob("backup")
	for _, tc := range []struct {
		path         Path
		text, inFile string
	}{
		{blob, "", ""},
		{blob.Decoded(), "", ""},
		{blob.Decoded().Member("a"), "a", "a"},
		{blob.Member("a.jar").Member("b.txt"), "a.jar!/b.txt", "a.jar"},
		{blob.Member("a.tgz").Decoded().Member("b"), "a.tgz!/b", "a.tgz"},
		{blob.Member("a").Member("b.gz").Decoded(), "a!/b.gz!", "a"},
		{named, "backup", ""},
		{named.Decoded().Member("a"), "backup!/a", "a"},
		{blob.Member(strings.Repeat("n", 5000)), strings.Repeat("n", maxName), strings.Repeat("n", maxName)},
	} {
		if got := tc.path.String(); got != tc.text {
			t.Errorf("path %q, not %q", got, tc.text)
		}
		if got := tc.path.File(); got != tc.inFile {
			t.Errorf("file of %q is %q, not %q", tc.text, got, tc.inFile)
		}
	}
}

func TestSniff(t *testing.T) {
	v7 := edit(tarOf("a", "x"), func(b []byte) {
		clear(b[257:512])
		copy(b[148:], "        ")
		sum := 0
		for _, c := range b[:512] {
			sum += int(c)
		}
		copy(b[148:], octal(sum)[5:11])
	})
	for _, tc := range []struct {
		name string
		data []byte
		want Format
	}{
		{"v7", v7, Tar},
		{"tar", tarOf("a", "x"), Tar},
		{"wrong checksum", edit(v7, flip(0)), Plain},
		{"short tar", v7[:511], Plain},
		{"zeros", zeros(512), Plain},
		{"gzip", gzipOf(""), Gzip},
		{"zstd", zstdOf("x"), Zstd},
		{"skippable", skippable("xyz"), Zstd},
		{"xz", xzOf(""), XZ},
		{"bzip2", sample(bzip2Sample), Bzip2},
		{"letters", []byte("BZh9 and more"), Plain},
		{"zip", zipOf(zip.Store, "a", ""), Zip},
		{"ar", arOf("a", ""), Ar},
		{"cpio newc", cpioNewc("a", ""), CPIO},
		{"cpio odc", cpioODC("a", ""), CPIO},
		{"git pack", blobPack("x"), GitPack},
		{"git pack of version 4", edit(blobPack("x"), func(b []byte) { b[7] = 4 }), Plain},
		{"git pack with too many objects", edit(blobPack("x"), func(b []byte) { b[8] = 0x80 }), Plain},
		{"git pack without objects", packOf(), Plain},
		{"number", []byte("070701" + strings.Repeat("x", 200)), Plain},
		{"nothing", nil, Plain},
	} {
		if got := Sniff(tc.data); got != tc.want {
			t.Errorf("%s: %s, not %s", tc.name, got, tc.want)
		}
	}
}
