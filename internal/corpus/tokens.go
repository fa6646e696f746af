package corpus

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shapes are tokens of random characters. {a24} stands for 24 of the class a.
var shapes = map[string]string{
	"airtable":          "pat{a14}.{h64}",
	"anthropic":         "sk-ant-api03-{w93}AA",
	"artifactory":       "AKCp8{a68}",
	"atlassian":         "ATATT3xFfGF0{w171}={H8}",
	"aws-id":            "AKIA{b16}",
	"aws-temp-id":       "ASIA{b16}",
	"azure-secret":      "{a3}8Q~{s34}",
	"databricks":        "dapi{h32}",
	"digitalocean":      "dop_v1_{h64}",
	"discord-hook":      "https://discord.com/api/webhooks/1{d18}/{w68}",
	"docker":            "dckr_pat_{w27}",
	"doppler":           "dp.pt.{a43}",
	"figma":             "figd_{w40}",
	"github-fine":       "github_pat_11{U20}_{a59}",
	"gitlab":            "glpat-{w20}",
	"gitlab-runner":     "glrt-{w20}",
	"google":            "AIzaSy{w33}",
	"google-oauth":      "GOCSPX-{w28}",
	"groq":              "gsk_{a52}",
	"heroku":            "HRKU-AA{w58}",
	"huggingface":       "hf_{l34}",
	"linear":            "lin_api_{a40}",
	"mailgun":           "key-{h32}",
	"newrelic":          "NRAK-{U27}",
	"notion":            "ntn_{d11}{a35}",
	"nuget":             "oy2{z43}",
	"openai":            "sk-proj-{w74}T3BlbkFJ{w74}",
	"planetscale":       "pscale_tkn_{w43}",
	"postman":           "PMAK-{h24}-{h34}",
	"pulumi":            "pul-{h40}",
	"replicate":         "r8_{a37}",
	"rubygems":          "rubygems_{h48}",
	"sendgrid":          "SG.{w22}.{w43}",
	"sentry":            "sntryu_{h64}",
	"shopify":           "shpat_{h32}",
	"slack-app":         "xapp-1-A{U10}-{d13}-{h64}",
	"slack-bot":         "xoxb-{d12}-{d13}-{a24}",
	"slack-hook":        "https://hooks.slack.com/services/T{U10}/B{U10}/{a24}",
	"slack-user":        "xoxp-{d12}-{d12}-{d13}-{h32}",
	"square":            "EAAA{w60}",
	"stripe":            "sk_live_51{a97}",
	"stripe-restricted": "rk_live_51{a97}",
	"supabase":          "sbp_{h40}",
	"tailscale":         "tskey-auth-k{a8}CNTRL-{a32}",
	"telegram":          "7{d9}:AA{w33}",
	"terraform":         "{a14}.atlasv1.{a67}",
	"vault":             "hvs.CAES{w91}",
}

var classes = map[byte]string{
	'a': alnum, 'b': upper + "234567", 'd': digits, 'h': "0123456789abcdef", 'H': "0123456789ABCDEF", 'l': upper + lower,
	's': alnum + "_~.-", 'U': digits + upper, 'w': word, 'z': digits + lower,
}

var run = regexp.MustCompile(`\{(\w)(\d+)\}`)

// shaped fills in a shape.
func (r random) shaped(shape string) string {
	return run.ReplaceAllStringFunc(shape, func(s string) string {
		n, _ := strconv.Atoi(s[2 : len(s)-1])
		return r.from(classes[s[1]], n-1) + r.from(strings.Trim(classes[s[1]], "_~.-"), 1) // signs at the end are rare
	})
}

// checked is a token of GitHub's kind: 30 random characters and a checksum of them.
// See https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/.
func (r random) checked(prefix string) string {
	s := r.from(alnum, 30)
	return prefix + s + numeral(crc32.ChecksumIEEE([]byte(s)), 62, 6)
}

// numeral writes n with at least so many digits of 0-9A-Za-z.
func numeral(n uint32, base uint32, width int) string {
	var b []byte
	for ; n > 0 || len(b) < width; n /= base {
		b = append(b, alnum[n%base])
	}
	slices.Reverse(b)
	return string(b)
}

// grafana is a service account's token: the checksum is over all before it.
// See https://github.com/grafana/grafana/blob/main/pkg/components/satokengen/tokengen.go.
func (r random) grafana() string { return grafanaToken(r.from(alnum, 32)) }

func grafanaToken(secret string) string {
	s := "glsa_" + secret
	return s + "_" + hexOf(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// routable is GitLab's newer token: the payload, a version, the payload's length and a checksum, the last two in base 36.
// See https://handbook.gitlab.com/handbook/engineering/architecture/design-documents/cells/routable_tokens/.
func (r random) routable() string {
	payload := base64.RawURLEncoding.EncodeToString(append([]byte("o:1\nu:9\n"), append(r.bytes(16), 16)...))
	s := "glpat-" + payload + ".01." + strings.ToLower(numeral(uint32(len(payload)), 36, 2))
	return s + strings.ToLower(numeral(crc32.ChecksumIEEE([]byte(s)), 36, 7))
}

// pypi is a macaroon of version 2.
func (r random) pypi() string {
	field := func(kind byte, s string) []byte { return append([]byte{kind, byte(len(s))}, s...) }
	m := slices.Concat([]byte{2}, field(1, "pypi.org"), field(2, r.uuid()), []byte{0},
		field(2, `{"version": 1, "permissions": "user"}`), []byte{0, 0}, field(6, string(r.bytes(32))))
	return "pypi-" + base64.RawURLEncoding.EncodeToString(m)
}

func (r random) jwt() string {
	enc := base64.RawURLEncoding
	payload := fmt.Sprintf(`{"sub":"%s","iss":"https://login.corp.internal","iat":1767225600,"exp":2082758400}`, r.uuid())
	s := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, r.bytes(32))
	_, _ = mac.Write([]byte(s))
	return s + "." + enc.EncodeToString(mac.Sum(nil))
}

// azureStorage is 64 bytes in base64, with the mark that Microsoft puts into newer keys.
func (r random) azureStorage() string {
	s := base64.StdEncoding.EncodeToString(r.bytes(64))
	return s[:76] + "+ASt" + s[80:]
}

func (r random) discordBot() string {
	id := base64.RawStdEncoding.EncodeToString([]byte("1" + r.from(digits, 17)))
	return id + "." + r.from(word, 6) + "." + r.from(word, 37) + r.from(alnum, 1)
}
