package detect

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
)

// publishedKeys are keys and tokens that are no secrets because they are in the sources of well-known programs: Go's and Python's
// tests, npm packages, documentation. They are known by a part of their SHA-256 and not by where they are, so that a secret in
// a folder called testdata is found.
//
//go:embed published.txt
var publishedKeys string

var publishedSet = words(publishedKeys)

// published tells whether a value is known to everybody.
func published(value string) bool { return publishedSet()[publishedName(value)] }

// publishedName is what a value is called in the list. Line breaks, also as \n, do not count: keys are written in many ways.
func publishedName(value string) string {
	value = strings.ReplaceAll(value, `\n`, "")
	value = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '"' || r == '\'' {
			return -1
		}
		return r
	}, value)
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}
