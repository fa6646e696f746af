package detect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62 writes n with at least 6 digits.
func base62(n uint32) string {
	var out []byte
	for ; n > 0 || len(out) < 6; n /= 62 {
		out = append(out, base62Digits[n%62])
	}
	slices.Reverse(out)
	return string(out)
}

// githubSum is the end of GitHub's and npm's tokens: the CRC32 of what stands between the prefix and it
// (https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/).
func githubSum(token string) string {
	_, body, _ := strings.Cut(token, "_")
	return base62(crc32.ChecksumIEEE([]byte(body)))
}

func hasGitHubSum(value []byte) bool {
	body, sum := value[:len(value)-6], value[len(value)-6:]
	return githubSum(string(body)) == string(sum)
}

// grafanaSum is the end of Grafana's service account tokens (pkg/components/satokengen/tokengen.go).
func grafanaSum(token string) string {
	return "_" + hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(token))))
}

func hasGrafanaSum(value []byte) bool {
	const sum = len("_01234567")
	return grafanaSum(string(value[:len(value)-sum])) == string(value[len(value)-sum:])
}

// gitlabSum ends GitLab's routable tokens: the length of the payload and the CRC32 of all before
// (https://handbook.gitlab.com/handbook/engineering/architecture/design-documents/cells/routable_tokens/).
func gitlabSum(payload int, token string) string {
	length := strconv.FormatInt(int64(payload), 36)
	token += "." + strings.Repeat("0", 2-len(length)) + length
	sum := strconv.FormatInt(int64(crc32.ChecksumIEEE([]byte(token))), 36)
	return token + strings.Repeat("0", 7-len(sum)) + sum
}

// gitlabLength checks the length that a routable token of GitLab tells of itself. The CRC32 is not checked: it covers a prefix that
// an instance may have in front of the usual one. Runners' tokens have two or three characters of their type before the payload.
func gitlabLength(value []byte) bool {
	_, body, _ := bytes.Cut(value, []byte("-"))
	payload, tail, routable := bytes.Cut(body, []byte("."))
	if !routable {
		return plausible(string(value))
	}
	length, err := strconv.ParseInt(string(tail[len(tail)-9:len(tail)-7]), 36, 0)
	return err == nil && int(length) <= len(payload) && int(length)+4 >= len(payload)
}
