package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
)

// writeScanJSON writes one object for one image, and a list for several.
func writeScanJSON(w io.Writer, scans []Scan, _ Options) error {
	if len(scans) == 1 {
		return writeJSON(w, scans[0])
	}
	return writeJSON(w, scans)
}

// writeJSON writes v with what encoding/json leaves of a terminal's control characters escaped: U+009B is as good as ESC [.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeUnprintable(b.String()))
	return err
}

// escapeUnprintable works on JSON: outside of its strings there is nothing to escape.
func escapeUnprintable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
