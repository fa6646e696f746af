package shim

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/pem"
	"strconv"
	"unicode/utf16"
)

// trustStore writes certificates in PEM as a Java key store (JKS), which every JVM reads. Its password is the customary one: nothing in
// it is secret.
func trustStore(bundle []byte) []byte {
	var entries bytes.Buffer
	count := uint32(0)
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		entries.Write([]byte{0, 0, 0, 2}) // a trusted certificate
		writeText(&entries, "tightlip-"+strconv.Itoa(int(count)))
		entries.Write(make([]byte, 8)) // made in 1970
		writeText(&entries, "X.509")
		entries.Write(binary.BigEndian.AppendUint32(nil, uint32(len(block.Bytes))))
		entries.Write(block.Bytes)
	}
	out := binary.BigEndian.AppendUint32([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, count) // version 2
	out = append(out, entries.Bytes()...)
	digest := sha1.New()
	for _, unit := range utf16.Encode([]rune("changeit")) {
		digest.Write(binary.BigEndian.AppendUint16(nil, unit))
	}
	digest.Write([]byte("Mighty Aphrodite")) // so it is
	digest.Write(out)
	return digest.Sum(out)
}

// writeText writes ASCII as Java does.
func writeText(to *bytes.Buffer, text string) {
	to.Write(binary.BigEndian.AppendUint16(nil, uint16(len(text))))
	to.WriteString(text)
}
