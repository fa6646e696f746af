package gate

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

// TestStandIns has the files that hold credentials: which one goes where, and what stands in for the file. P is the password.
func TestStandIns(t *testing.T) {
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	password := "canary" + strings.Repeat("p", 14)
	for _, tt := range []struct {
		name, text string // the file, with % for the password and B(…) for base64
		user       string
		other      string // of the routes' origin, if it is not npm.corp.example
	}{
		{"netrc", "machine other.example login x password elsewhere-1\nmachine npm.corp.example\n  login ci\n  password %\n", "ci", ""},
		{"netrc, login last", "machine npm.corp.example password % login ci\n", "ci", ""},
		{"netrc, default", "default login ci password %\n", "ci", ""},
		{"apt", "machine http://npm.corp.example login x password elsewhere-0 machine https://npm.corp.example/apt login ci password %\n", "ci", ""},
		{"npmrc", "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=%\n", "", ""},
		{"npmrc with a port", "//npm.corp.example:8443/:_authToken=%\n//npm.corp.example/:_authToken=elsewhere-2\n", "", "https://npm.corp.example:8443"},
		{"npmrc with a user", "//npm.corp.example/:username=ci\n//npm.corp.example/:_password=B(%)\n", "ci", ""},
		{"npmrc with _auth", "//npm.corp.example/:_auth=B(ci:%)\n", "ci", ""},
		{"git-credentials", "https://x:elsewhere-3@other.example\nhttps://ci:%@npm.corp.example\n", "ci", ""},
		{"pip.conf", "[global]\nindex-url = https://ci:%@npm.corp.example/simple\n", "ci", ""},
		{"docker", `{"auths":{"other.example":{"auth":"B(x:elsewhere-4)"},"npm.corp.example":{"auth":"B(ci:%)"}}}`, "ci", ""},
		{"cargo", "[registries.corp]\ntoken = \"%\"\n", "", ""},
		{"pypirc", "[corp]\nusername = ci\npassword = %\n", "ci", ""},
		{"yarnrc.yml", "npmRegistryServer: \"https://npm.corp.example\"\nnpmAuthToken: \"%\"\n", "", ""},
		{"gradle", "corpUser=ci\ncorpPassword=%\n", "ci", ""},
		{"maven", "<settings><servers><server><id>corp</id><username>ci</username>\n<password>%</password></server></servers></settings>\n", "ci", ""},
		{"nuget", `<add key="Username" value="ci" /><add key="ClearTextPassword" value="%" />` + "\n", "ci", ""},
		{"bare", "%\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := expand(strings.ReplaceAll(tt.text, "%", password), b64)
			origin := Origin{"https", "npm.corp.example", "443"}
			if tt.other != "" {
				origin, _ = ParseOrigin(tt.other)
			}
			kind := Bearer
			if tt.user != "" {
				kind = Basic
			}
			m, err := newMaterial("npm", secret.NewValue([]byte(text)), []Route{{Secret: "npm", Origin: origin, Attach: Attach{Kind: kind}}})
			if err != nil {
				t.Fatal(err)
			}
			c := m.creds[origin]
			if string(c.value.Open()) != password || c.user != tt.user {
				t.Errorf("the credential is another one, or its user is: %q", c.user)
			}
			stand := string(m.stand.Open())
			for _, real := range []string{password, b64("ci:" + password), b64(password), "elsewhere"} {
				if strings.Contains(stand, real) {
					t.Errorf("the stand-in holds a credential")
				}
			}
			again := expand(strings.NewReplacer(password, m.phantom).Replace(strings.ReplaceAll(text, b64(password), b64(m.phantom))), b64)
			if !strings.Contains(tt.text, "elsewhere") && !strings.Contains(tt.text, "B(") && stand != again {
				t.Errorf("the stand-in differs in more than the credential:\n%s", stand)
			}
			if strings.Count(stand, "\n") != strings.Count(text, "\n") {
				t.Errorf("lines changed:\n%s", stand)
			}
		})
	}
}

// expand replaces B(x) by x in base64.
func expand(text string, b64 func(string) string) string {
	for {
		before, rest, ok := strings.Cut(text, "B(")
		if !ok {
			return text
		}
		inner, after, _ := strings.Cut(rest, ")")
		text = before + b64(inner) + after
	}
}

// TestTokenAsUser: GitHub takes tokens as users, with a filler as the password.
func TestTokenAsUser(t *testing.T) {
	origin := Origin{"https", "git.corp.example", "443"}
	for _, text := range []string{"https://canary-token-number-1:x-oauth-basic@git.corp.example\n", "https://canary-token-number-1@git.corp.example\n", "machine git.corp.example login canary-token-number-1 password x-oauth-basic\n"} {
		m, err := newMaterial("git", secret.NewValue([]byte(text)), []Route{{Secret: "git", Origin: origin, Attach: Attach{Kind: Basic}}})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := m.creds[origin].asRoute(Attach{Kind: Basic}).value
		if got != "Basic "+base64.StdEncoding.EncodeToString([]byte("canary-token-number-1:x-oauth-basic")) {
			t.Errorf("%q: sent as %s", text, got)
		}
		if stand := string(m.stand.Open()); strings.Contains(stand, "canary") || !strings.Contains(stand, m.phantom) {
			t.Errorf("%q: the stand-in is %q", text, stand)
		}
	}
}

// TestNoStandIn has files that may hold more than is understood. B is another secret in them.
func TestNoStandIn(t *testing.T) {
	npm := Origin{"https", "npm.corp.example", "443"}
	for _, text := range []string{
		"machine other.example login x password A\n",
		"_authToken=A\n_auth=B\n",
		"token = A\n-----BEGIN PRIVATE KEY-----\nB\n-----END PRIVATE KEY-----\n",
		"[registry]\ntoken = \"A\"\n[registries]\nb = { token = \"B\" }\n",
		"<settings><servers><server><password>A</password><configuration><httpHeaders><property><name>X</name><value>B</value></property></httpHeaders></configuration></server></servers></settings>",
		"<settings><password>A</password><apiKey>B</apiKey></settings>",
		"<settings><server password=\"B\"><password>A</password></server></settings>",
		"<settings><password>A</password><id><![CDATA[B]]></id></settings>",
		"<settings><password>A</password><privateKey>B</privateKey></settings>",
		"<configuration><apikeys><add key=\"x\" value=\"B\"/></apikeys><add key=\"ClearTextPassword\" value=\"A\"/></configuration>",
		"machine npm.corp.example login B password A\n",
		"machine npm.corp.example login x password \"A B\"\n",
		"machine npm.corp.example login x password A\nmacdef init\nput B\n",
		"machine npm.corp.example login x password A # B\n",
		"a: {token: B}\ntoken: A\n",
		"BUNDLE_HOST: \"u:B\"\nBUNDLE_X_TOKEN: \"A\"\n",
		"[http]\n\textraHeader = X B\ntoken = A\n",
		"GH_PAT=B C\nTOKEN=A\n",
		`{"auths":{"npm.corp.example":{"auth":"eDpB"}},"HttpHeaders":{"X":"B"}}`,
		`{"token":"A","custom-headers":["B"]}`,
		"token=A\nurl=https://x.example/?key=B\n",
		"token=A\nhook=https://hooks.example/services/T0B0123456/B\n",
		"token=A\nAccountKey=B\n",
		"token=A\nSESSION=B\n",
		"token=A\notp=B\n",
		"token=A\nuser = \"u:B\"\n",
		"token=A\nother=A0123456789\n",
		"some words\nand A\n",
	} {
		text = strings.NewReplacer("A", "canary1number1one", "B", "canary2number2two").Replace(strings.NewReplacer("_authToken", "_authToken", "_PAT", "_PAT").Replace(text))
		m, err := newMaterial("npm", secret.NewValue([]byte(text)), []Route{{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}}})
		if err == nil {
			t.Errorf("%q: stands in for it: %q", text, m.stand.Open())
		} else if strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestCommentsAreEmptied: nobody knows what is in them.
func TestCommentsAreEmptied(t *testing.T) {
	npm := Origin{"https", "npm.corp.example", "443"}
	for _, text := range []string{
		"; //old/:_authToken=canary-old\n//npm.corp.example/:_authToken=canary-number-1\n# canary-old\n",
		"<settings><!-- canary-old --><server><password>canary-number-1</password></server></settings>",
	} {
		m, err := newMaterial("npm", secret.NewValue([]byte(text)), []Route{{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}}})
		if err != nil || strings.Contains(string(m.stand.Open()), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
