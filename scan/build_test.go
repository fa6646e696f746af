package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func canary() string { return "canary-" + rand.Text() }

// must is for writers to memory.
func must(errs ...error) {
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
}

func tarOf(files ...string) []byte {
	var hdrs []*tar.Header
	var bodies []string
	for i := 0; i < len(files); i += 2 {
		hdrs = append(hdrs, &tar.Header{Name: files[i], Mode: 0o644})
		bodies = append(bodies, files[i+1])
	}
	return tarHeaders(hdrs, bodies)
}

func tarHeaders(hdrs []*tar.Header, bodies []string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, h := range hdrs {
		h.Size = int64(len(bodies[i]))
		must(w.WriteHeader(h))
		_, err := io.WriteString(w, bodies[i])
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

func writeAll(w io.WriteCloser, err error, data string) {
	must(err)
	_, err = io.WriteString(w, data)
	must(err, w.Close())
}

func gzipOf(data string) []byte {
	var b bytes.Buffer
	writeAll(gzip.NewWriter(&b), nil, data)
	return b.Bytes()
}

func zstdOf(data string, opts ...zstd.EOption) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append(opts, zstd.WithEncoderConcurrency(1))...)
	writeAll(w, err, data)
	return b.Bytes()
}

func xzOf(data string) []byte { return xzConfig(data, xz.WriterConfig{}) }

func xzConfig(data string, c xz.WriterConfig) []byte {
	var b bytes.Buffer
	w, err := c.NewWriter(&b)
	writeAll(w, err, data)
	return b.Bytes()
}

// bzip2Sample stands for a compressor, which Go does not have.
const (
	bzip2Text   = "tightlip says: found in bzip2\n"
	bzip2Sample = "QlpoOTFBWSZTWfI8quQAAEDZgAAQQAAQEDXlzjAgAFCmE00BpiCKpk00GTJtSSWTdKp6JgSqUTZLpZMpNMJCTSiaTKSEhKphNJCaSE/F3JFOFCQ8jyq5AA=="
	bcjText     = "tightlip says: found in xzbcj\n"
	bcjSample   = "/Td6WFoAAArh+wyhAgEEACEBDADWfBiv4ACVACVdADoaSRnK2zXKy/d7Z2o/MHqWdTveHhdgxkmK6vVB605eqb2XQAAAAAAAjfxG" +
		"nw+jV94kY6ZDrKRMSFWLfMO7irpCm49OSscJVasAAVmWAQAAADc4Lg626d8cAgAAAAAKWVo="
)

func sample(base string) []byte {
	b, err := base64.StdEncoding.DecodeString(base)
	must(err)
	return b
}

// zipOf writes with sizes behind each member, as every writer to a pipe does.
func zipOf(method uint16, name, data string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method, Comment: "of " + name})
	must(err)
	_, err = io.WriteString(f, data)
	must(err, w.SetComment("of the archive"), w.Close())
	return b.Bytes()
}

// zipRaw writes a member with its sizes before it, whatever the method makes of the data.
func zipRaw(method, flags uint16, name string, packed []byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: method, Flags: flags,
		CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(packed)),
	})
	must(err)
	_, err = f.Write(packed)
	must(err, w.Close())
	return b.Bytes()
}

// zipPiped writes a member that was compressed by an unusual method with its size behind it.
func zipPiped(method uint16, name string, packed []byte) []byte {
	b := zipOf(zip.Store, name, string(packed))
	binary.LittleEndian.PutUint16(b[8:], method)
	return b
}

func deflateOf(data string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	writeAll(w, err, data)
	return b.Bytes()
}

func arOf(name, data string) []byte {
	s := arMagic + fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, 0, 0, 0, 0o644, len(data), data)
	if len(data)%2 == 1 {
		s += "\n"
	}
	return []byte(s)
}

func cpioNewc(name, data string) []byte {
	var b bytes.Buffer
	for _, m := range [][2]string{{name, data}, {cpioTrailer, ""}} {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0o100644, 0, 0, 1, 0,
			len(m[1]), 0, 0, 0, 0, len(m[0])+1, 0)
		b.WriteString(m[0] + "\x00")
		b.Write(make([]byte, padding4(int64(b.Len()))))
		b.WriteString(m[1])
		b.Write(make([]byte, padding4(int64(b.Len()))))
	}
	return b.Bytes()
}

func cpioODC(name, data string) []byte {
	var b bytes.Buffer
	for _, m := range [][2]string{{name, data}, {cpioTrailer, ""}} {
		fmt.Fprintf(&b, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00%s",
			0, 1, 0o100644, 0, 0, 1, 0, 0, len(m[0])+1, len(m[1]), m[0], m[1])
	}
	return b.Bytes()
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// zeros is what a tar archive is padded with.
func zeros(n int) []byte { return make([]byte, n) }
