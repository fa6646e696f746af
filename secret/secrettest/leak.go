package secrettest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
)

// Leak says in which form text contains value: raw, quoted, base64, hex, decimal bytes or URL-escaped. It returns ""
// if it does not. A value of fewer than four bytes is not looked for, since it may occur by chance.
func Leak(text string, value []byte) string {
	if len(value) < 4 {
		return ""
	}
	quoted := strconv.Quote(string(value))
	decimal := fmt.Sprint(value)
	for _, form := range []struct{ name, needle string }{
		{"raw", string(value)},
		{"quoted", quoted[1 : len(quoted)-1]},
		{"hex", hex.EncodeToString(value)},
		{"spaced hex", fmt.Sprintf("% x", value)},
		{"Go hex", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", value), "[]byte{"), "}")},
		{"decimal", decimal[1 : len(decimal)-1]},
		{"URL", url.QueryEscape(string(value))},
		{"base64", inner64(value, 0)},
		{"base64 after one byte", inner64(value, 1)},
		{"base64 after two bytes", inner64(value, 2)},
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form.needle)) {
			return form.name
		}
	}
	return ""
}

// inner64 is the part of base64 text that depends on nothing but value, which begins at the given offset modulo 3.
func inner64(value []byte, offset int) string {
	padded := append(make([]byte, offset), value...)
	text := base64.RawStdEncoding.EncodeToString(padded)
	start := []int{0, 2, 3}[offset]
	end := len(padded) / 3 * 4
	return text[start:end]
}

func randomText() string { return rand.Text() }

// values yields what a source must return byte for byte.
func values() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		big := make([]byte, 1<<20)
		_, _ = rand.Read(big) // never fails: crypto/rand ends the program instead
		for _, v := range []struct {
			name  string
			value []byte
		}{
			{"text", []byte(randomText())},
			{"trailing newline", []byte(randomText() + "\n")},
			{"trailing CR LF", []byte(randomText() + "\r\n")},
			{"trailing newlines", []byte(randomText() + "\n\n")},
			{"only a newline", []byte("\n")},
			{"several lines", []byte(randomText() + "\n" + randomText() + "\n")},
			{"spaces around", []byte("  " + randomText() + "\t ")},
			{"UTF-8", []byte("pässwörd-ключ-鍵-" + randomText())},
			{"quotes", []byte(`"'` + "`$(x) ${Y} %s \\n" + randomText())},
			{"invalid UTF-8", []byte("\xff\xfe\x80" + randomText())},
			{"a zero byte", []byte("a\x00b" + randomText())},
			{"byte order mark", []byte("\ufeff" + randomText())},
			{"1 MiB of text", []byte(strings.Repeat(randomText(), 1<<20/26))},
			{"1 MiB of anything", big},
		} {
			if !yield(v.name, v.value) {
				return
			}
		}
	}
}
