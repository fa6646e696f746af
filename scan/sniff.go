package scan

import (
	"bytes"
	"strconv"
)

// Format is a container format that Walk unpacks.
type Format int

// The formats. Plain is anything that is not a container.
const (
	Plain Format = iota
	Tar
	Gzip
	Zstd
	XZ
	Bzip2
	Zip
	Ar
	CPIO
	Zlib
	GitPack

	deflate // has no magic: only a method of zip
)

var formatNames = [...]string{"plain", "tar", "gzip", "zstd", "xz", "bzip2", "zip", "ar", "cpio", "zlib", "git pack", "deflate"}

// String returns the format's name in lower case.
func (f Format) String() string { return formatNames[f] }

func (f Format) compressed() bool {
	return f == Gzip || f == Zstd || f == XZ || f == Bzip2 || f == Zlib
}

// SniffLen is how many bytes Sniff needs to know every format. With fewer, it does not know tar.
const SniffLen = 512

// Sniff tells the format of a stream from its first bytes.
func Sniff(b []byte) Format {
	if isTar(b) {
		return Tar // first: it has a checksum, which no other magic passes by chance
	}
	return sniffMagic(b)
}

// magicLen is how many bytes sniffMagic needs, except for cpio.
const magicLen = 16

func sniffMagic(b []byte) Format {
	if len(b) < 8 {
		return Plain
	}
	switch b[0] {
	case 0x1f:
		if b[1] == 0x8b && b[2] == 8 && b[3]&0xe0 == 0 {
			return Gzip
		}
	case 'P':
		if b[1] == 'K' && b[2] == 3 && b[3] == 4 {
			return Zip
		}
		if isGitPack(b) {
			return GitPack
		}
	case 'B':
		if isBzip2(b) {
			return Bzip2
		}
	case '!':
		if bytes.HasPrefix(b, []byte(arMagic)) {
			return Ar
		}
	case '0':
		if isCPIO(b) {
			return CPIO
		}
	case 'x':
		if isZlib(b) {
			return Zlib
		}
	case 0xfd:
		if bytes.HasPrefix(b, []byte(xzMagic)) {
			return XZ
		}
	default:
		if isZstd(b) {
			return Zstd
		}
	}
	return Plain
}

// isBzip2 asks for the magic of the first block, or of the end of an empty file, too: "BZh" alone is three letters.
func isBzip2(b []byte) bool {
	return len(b) >= 10 && b[1] == 'Z' && b[2] == 'h' && '1' <= b[3] && b[3] <= '9' &&
		(string(b[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// isZlib knows the headers that zlib itself writes with its usual window, as git does for its objects. Two bytes are no magic to
// rely on: what then does not decompress is plain data.
func isZlib(b []byte) bool {
	return b[1] == 0x01 || b[1] == 0x5e || b[1] == 0x9c || b[1] == 0xda
}

// isZstd knows frames and skippable frames, which may come first.
func isZstd(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	magic := string(b[:4])
	return magic == "\x28\xb5\x2f\xfd" || b[0]&0xf0 == 0x50 && magic[1:] == "\x2a\x4d\x18"
}

// isTar asks for a valid checksum, which all versions of tar have; v7 has nothing else.
func isTar(b []byte) bool {
	if len(b) < SniffLen {
		return false
	}
	field := b[148:156]
	for _, c := range field {
		if (c < '0' || c > '7') && c != ' ' && c != 0 {
			return false
		}
	}
	want, err := strconv.ParseInt(string(bytes.Trim(field, " \x00")), 8, 64)
	if err != nil {
		return false
	}
	unsigned, signed := int64(' '*8), int64(' '*8) // the field itself counts as blanks
	for i, c := range b[:SniffLen] {
		if i < 148 || i >= 156 {
			unsigned += int64(c)
			signed += int64(int8(c)) // old Sun tars
		}
	}
	return want == unsigned || want == signed
}
