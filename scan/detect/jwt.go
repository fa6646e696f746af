package detect

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// jwtAnchors are what the base64 of a JSON object starts with: {"a to {"z, and { " with a blank.
var jwtAnchors = append(expand("eyJ", "h-z0-6"), "eyAi")

// jwtTokens are JSON web tokens (RFC 7519) by who made them.
var jwtTokens = []token{
	{
		Rule: Rule{ID: "kubernetes-service-account-token", Title: "Kubernetes service account token", Severity: finding.High,
			Why: "It acts on a cluster as the service account it was made for; old ones never expire.",
			Fix: "# a pod gets its token at run time, at /var/run/secrets/kubernetes.io/serviceaccount/token"},
		anchors: jwtAnchors, match: jwtOf(kubernetesJWT),
		sample: jwtSample(`{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"{a8}","kubernetes.io/serviceaccount/secret.name":"{a8}-token-{n5}"}`),
	},
	{
		Rule: critical("supabase-service-key", "Supabase service role key",
			"It reads and changes a project's whole database, whatever its row policies say."),
		anchors: jwtAnchors, match: jwtOf(supabaseJWT),
		sample: jwtSample(`{"iss":"supabase","ref":"{a20}","role":"service_role","iat":16{d8},"exp":20{d8}}`),
	},
	{
		Rule:    medium("jwt", "JSON web token", "It is a login, or something else that its issuer signed, until it expires."),
		anchors: jwtAnchors, match: jwtOf(otherJWT), sample: jwtSample(`{"sub":"{a8}","iat":17{d8},"aud":"{a12}","jti":"{x32}"}`),
		not: []string{"eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbXX0=", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."},
	},
}

// jwt is a JSON web token.
type jwt struct {
	claims []byte // JSON
	length int    // of the token
}

type jwtKind int

const (
	otherJWT jwtKind = iota
	kubernetesJWT
	supabaseJWT
	publicJWT
)

// kind tells who made a token. Public ones are made to be in pages and documents.
func (t jwt) kind() jwtKind {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(t.claims, []byte(w)) })
	}
	switch {
	case has(`"John Doe"`, `"1234567890"`, `"anon"`, `example.com`, `example.org`, `"joe"`, `"foo"`, `"bar"`, `"xxx"`, `"test"`, `//localhost`):
		return publicJWT
	case has(`"kubernetes/serviceaccount"`, `"kubernetes.io"`):
		return kubernetesJWT
	case has(`"service_role"`):
		return supabaseJWT
	case !has(`"exp"`, `"iat"`, `"nbf"`, `"jti"`): // libraries add these; examples leave them out
		return publicJWT
	}
	return otherJWT
}

func jwtOf(kind jwtKind) func(text []byte, at int) (start, end int, ok bool) {
	return func(text []byte, at int) (start, end int, ok bool) {
		if at > 0 && (bytes.IndexByte([]byte("-.+"), text[at-1]) >= 0 || wordBefore(text, at)) {
			return 0, 0, false
		}
		t, ok := readJWT(text[at:])
		return at, at + t.length, ok && t.kind() == kind
	}
}

// The longest parts of a JSON web token that are read, in bytes.
const (
	maxJWTHeader = 2 << 10
	maxJWTClaims = 8 << 10
)

// readJWT reads the token that text starts with. It has to be signed: others are no secret.
func readJWT(text []byte) (t jwt, ok bool) {
	header := base64Run(text, maxJWTHeader)
	if header < 16 || header+1 >= len(text) || text[header] != '.' || text[header+1] != 'e' {
		return t, false
	}
	rest := text[header+1:]
	claims := base64Run(rest, maxJWTClaims)
	if claims < 16 || claims == len(rest) || rest[claims] != '.' {
		return t, false
	}
	signature := base64Run(rest[claims+1:], maxJWTHeader)
	if signature < 40 {
		return t, false
	}
	t.length = header + claims + signature + 2
	if t.length < len(text) && text[t.length] == '.' && t.length+1 < len(text) && isAlnum(text[t.length+1]) { // encrypted: RFC 7516
		return t, false
	}
	var head struct{ Alg string }
	if decodeJSON(text[:header], &head) == nil || head.Alg == "" || head.Alg == "none" {
		return t, false
	}
	var all map[string]any
	t.claims = decodeJSON(rest[:claims], &all)
	return t, t.claims != nil && !typed(string(rest[claims+1:claims+1+signature])) && !signedInPublic(head.Alg, text[:t.length])
}

// publicSecrets are what tokens in manuals and tests are signed with.
var publicSecrets = strings.Fields(`secret your-256-bit-secret your-384-bit-secret your-512-bit-secret secretkey secret-key my-secret mysecret super-secret supersecret
	shhhhh shhhh shh key test testing password foo bar AllYourBase keyboard-cat changeme private jwt_secret jwtsecret your_secret your-secret secret123 12345 123456 qwerty
	a-string-secret-at-least-256-bits-long a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long`)

// signedInPublic tells whether a token is signed with one of the secrets that everybody knows.
func signedInPublic(algorithm string, token []byte) bool {
	sums := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	sum, ok := sums[algorithm]
	if !ok {
		return false
	}
	dot := bytes.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(string(token[dot+1:]))
	return err == nil && slices.ContainsFunc(publicSecrets, func(secret string) bool {
		mac := hmac.New(sum, []byte(secret))
		mac.Write(token[:dot])
		return hmac.Equal(mac.Sum(nil), signature)
	})
}

// base64Run is how many bytes of URL-safe base64 a text starts with.
func base64Run(text []byte, most int) int {
	n := 0
	for n < min(len(text), most) && (isAlnum(text[n]) || text[n] == '-' || text[n] == '_') {
		n++
	}
	return n
}

// decodeJSON reads URL-safe base64 of JSON into v, and returns the JSON.
func decodeJSON(text []byte, v any) []byte {
	plain, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil || json.Unmarshal(plain, v) != nil {
		return nil
	}
	return plain
}

func jwtSample(claims string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string { return sampleJWT(r, claims) }
}

func sampleJWT(r *rand.Rand, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(fillJSON(r, claims))) + "." + like("{u342}")(r)
}

// fillJSON fills a form in braces.
func fillJSON(r *rand.Rand, form string) string {
	return "{" + fill(r, form[1:len(form)-1]) + "}"
}
