package caller

import (
	"path"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"

	"github.com/tightlip/tightlip/scan/detect"
)

// from is the secret that is in a word.
func (s *scope) from(w word) string {
	for _, p := range w.parts {
		if f := s.fromPart(p); f != "" {
			return f
		}
	}
	return ""
}

func (s *scope) fromPart(p part) string {
	switch p.kind {
	case variable:
		if v := s.vars[p.text]; v != nil && v.from != "" {
			return v.from
		}
		if detect.SecretName(p.text) {
			return "$" + p.text
		}
	case command:
		return readsSecret(p.text)
	case expression:
		return s.fromExpression(p.text)
	}
	return ""
}

var (
	secretsContext = lazy.Regexp(`\bsecrets(?:\.([\w-]+)|\[\s*'([^']+)'\s*\])`)
	wholeSecrets   = lazy.Regexp(`(?:^|[^\w.-])secrets\s*(?:[^\s\w.-]|$)`)
	envContext     = lazy.Regexp(`\benv\.([\w-]+)`)
	namesIn        = lazy.Regexp(`[A-Za-z_][\w-]*(?:\.[\w-]+)*`)
)

// allSecrets is what an expression comes from that has all secrets.
const allSecrets = "secrets"

// fromExpression knows the contexts of GitHub Actions, and judges everything else by names.
func (s *scope) fromExpression(text string) string {
	if s.kind != actionsKind {
		if detect.SecretName(text) {
			return "$(" + text + ")"
		}
		return ""
	}
	if m := secretsContext().FindStringSubmatch(text); m != nil {
		return "secrets." + m[1] + m[2]
	}
	if wholeSecrets().MatchString(quotes().ReplaceAllString(text, "")) {
		return allSecrets
	}
	for _, m := range envContext().FindAllStringSubmatch(text, -1) {
		if v := s.vars[m[1]]; v != nil && v.from != "" {
			return v.from
		}
	}
	for _, name := range namesIn().FindAllString(quotes().ReplaceAllString(text, ""), -1) {
		if name == "github.token" || strings.Contains(name, ".") && !strings.HasPrefix(name, "github.") && detect.SecretName(name) {
			return name
		}
	}
	return ""
}

var quotes = lazy.Regexp(`'[^']*'`)

// secretCommands are commands that print a secret, by their first words.
var secretCommands = []string{
	"vault read", "vault kv", "vault token", "op read", "op item", "pass", "gh auth token", "glab auth", "gcloud auth print-access-token",
	"gcloud auth print-identity-token", "gcloud auth application-default", "gcloud secrets versions access", "gcloud secrets", "aws ecr get-login-password",
	"aws ecr get-authorization-token", "aws codeartifact get-authorization-token", "aws secretsmanager get-secret-value", "aws ssm get-parameter", "aws sts",
	"az account get-access-token", "az keyvault secret", "az acr login", "doppler secrets", "bw get", "bws secret", "lpass show", "security find-generic-password",
	"security find-internet-password", "secret-tool lookup", "kubectl get secret", "kubectl get secrets", "sops", "age", "gpg", "chamber read", "infisical secrets",
	"keyring get", "berglas access", "gopass", "conjur variable", "akeyless get-secret-value", "npm token", "heroku auth:token", "flyctl auth token", "fly auth token",
}

// readers are commands that print files or variables, which may hold secrets.
var readers = []string{"cat", "head", "tail", "printenv", "jq", "yq", "grep", "awk", "sed", "cut", "echo", "printf", "base64", "npm config get"}

// printers print what they are given, which may be the secret itself. Only a variable's name can be told.
var printers = map[string]bool{"grep": true, "awk": true, "sed": true, "cut": true, "echo": true, "printf": true}

// readsSecret tells which secret a command prints, as "$(vault read)"; "" if none. Arguments behind the name of a command are left out: they
// may hold one themselves.
func readsSecret(text string) string {
	fields := strings.Fields(strings.Trim(text, "`$()"))
	if len(fields) == 0 {
		return ""
	}
	fields[0] = path.Base(fields[0])
	for _, c := range secretCommands {
		if strings.HasPrefix(spaced(fields), c+" ") {
			return "$(" + c + ")"
		}
	}
	for _, c := range readers {
		if !strings.HasPrefix(spaced(fields), c+" ") {
			continue
		}
		for _, f := range fields[1:] {
			name := strings.Trim(f, `"'<${}()`)
			if (strings.HasPrefix(strings.Trim(f, `"'`), "$") || !printers[c]) && secretFile(name) {
				return "$(" + c + " " + name + ")"
			}
		}
	}
	if name, ok := strings.CutPrefix(fields[0], "<"); ok && secretFile(name) {
		return "$(<" + name + ")"
	}
	return ""
}

func spaced(fields []string) string { return strings.Join(fields, " ") + " " }

// secretFile tells whether a path or variable is called a secret, such as ~/.npm_token or /run/secrets/npm.
func secretFile(name string) bool {
	if strings.ContainsAny(name, ":=") {
		return false
	}
	base := path.Base(name)
	return strings.Contains(name, "secrets/") || detect.SecretName(strings.TrimSuffix(strings.TrimPrefix(base, "."), path.Ext(strings.TrimPrefix(base, ".")))) ||
		base == ".npmrc" || base == ".netrc" || base == ".pypirc" || strings.HasPrefix(base, "id_rsa") || strings.HasPrefix(base, "id_ed25519")
}
