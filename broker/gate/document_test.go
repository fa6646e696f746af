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

func TestNoStandIn(t *testing.T) {
	npm := Origin{"https", "npm.corp.example", "443"}
	for text, want := range map[string]string{
		"machine other.example login x password canary-elsewhere\n":                                               "no credential for https://npm.corp.example",
		"_authToken=canary-number-one\n_auth=Y2FuYXJ5OmNhbmFyeS1udW1iZXItdHdv\n":                                  "no credential for",
		"token = canary-number-one\n-----BEGIN PRIVATE KEY-----\ncanarycanarycanary\n-----END PRIVATE KEY-----\n": "in a form that is not known",
	} {
		_, err := newMaterial("npm", secret.NewValue([]byte(text)), []Route{{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
