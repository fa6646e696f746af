package proof

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

func TestFieldsOfFormats(t *testing.T) {
	a, b := token(20), token(24)
	basic := base64.StdEncoding.EncodeToString([]byte("robot:" + a))
	tests := []struct {
		name, value   string
		secret, clean []string
	}{
		{"netrc", "machine git.corp.example login robot password " + a + "\nmachine other.corp.example\n  login x\n  password " + b,
			[]string{a, b}, []string{"machine git.corp.example", "login robot password", "machine other.corp.example"}},
		{"netrc with a token as login", "machine github.com login " + a + " password x-oauth-basic", []string{a}, []string{"x-oauth-basic"}},
		{"npmrc", "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=" + a + "\nalways-auth=true\n",
			[]string{a}, []string{"registry=https://npm.corp.example/", "always-auth=true"}},
		{"npmrc _auth", "//npm.corp.example/:_auth=" + basic + "\n", []string{basic, a, "robot:" + a}, nil},
		{"npmrc _password", "//npm.corp.example/:username=robot-user\n//npm.corp.example/:_password=" +
			base64.StdEncoding.EncodeToString([]byte(b)), []string{b}, []string{"robot-user"}},
		{"docker config", `{"auths":{"https://registry.corp.example":{"auth":"` + basic + `","email":"someone@corp.example"},"r2.example":{"identitytoken":"` + b +
			`"}},"credsStore":"desktop"}`, []string{basic, a, b}, []string{"https://registry.corp.example", "someone@corp.example"}},
		{"GCP key", `{"type":"service_account","private_key":"` + a + `","token_uri":"https://oauth2.googleapis.com/token","client_email":"x@y.example.com"}`,
			[]string{a}, []string{"service_account", "https://oauth2.googleapis.com/token", "x@y.example.com"}},
		{"JSON below a secret name", `{"credentials":{"a":["` + a + `"]},"comment":"nothing special"}`, []string{a}, []string{"nothing special"}},
		{"JSON without secret names", `{"x":"` + a + `","site":"https://site.example/path","n":1}`, []string{a}, []string{"https://site.example/path"}},
		{"dotenv", "# settings\nexport API_TOKEN='" + a + "'\nLOG_LEVEL=information\nDATABASE_URL=postgres://app:" + b + "@db.example/app\n",
			[]string{a, b}, []string{"LOG_LEVEL=information", "information", "# settings"}},
		{"properties", "db.password = " + a + "\ndb.driver: org.example.Driver\n", []string{a}, []string{"org.example.Driver"}},
		{"a short field", "//npm.corp.example/:_authToken=abc12\n", []string{"//npm.corp.example/:_authToken=abc12"}, []string{"abc12"}},
		{"flat YAML", "apiVersion: v1\nusers:\n- name: someone-else\n  user:\n    token: " + a + "\n", []string{a}, []string{"apiVersion: v1", "someone-else"}},
		{"URL", "https://robot:" + a + "%21@git.corp.example/x.git", []string{a + "!", a + "%21"}, []string{"https://robot:", "git.corp.example/x.git"}},
		{"git-credentials", "https://u:" + a + "@one.example\nhttps://" + b + "@two.example\n", []string{a, b}, []string{"one.example", "two.example"}},
		{"lines", "first " + a + "\r\n  second " + b + "\n--------\nshort\n", []string{"first " + a, "second " + b}, []string{"--------", "short"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := needlesFor(t, []byte(test.value))
			for _, text := range append(test.secret, test.value, strings.TrimSpace(test.value)) {
				if !leaks(n, []byte("<"+text+">")) {
					t.Errorf("not found: %q", text)
				}
				if !leaks(n, []byte("<"+base64.StdEncoding.EncodeToString([]byte(text))+">")) {
					t.Errorf("not found in base64: %q", text)
				}
			}
			for _, text := range test.clean {
				if leaks(n, []byte("<"+text+">")) || leaks(n, []byte(base64.StdEncoding.EncodeToString([]byte(text)))) {
					t.Errorf("false alarm: %q", text)
				}
			}
		})
	}
}

// keyFiles makes private keys of each kind and format, with the public key of each in DER.
func keyFiles(t *testing.T) map[string][2][]byte {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key crypto.PrivateKey) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return block("PRIVATE KEY", der)
	}
	public := func(key crypto.PublicKey) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	return map[string][2][]byte{
		"PKCS1 RSA":       {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), public(rsaKey.Public())},
		"PKCS8 RSA":       {pkcs8(rsaKey), public(rsaKey.Public())},
		"SEC1":            {block("EC PRIVATE KEY", sec1), public(ecKey.Public())},
		"PKCS8 EC":        {pkcs8(ecKey), public(ecKey.Public())},
		"PKCS8 Ed25519":   {pkcs8(edKey), public(edKey.Public())},
		"OpenSSH Ed25519": {opensshKey(edKey), public(edKey.Public())},
	}
}

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// opensshKey writes a key as ssh-keygen does.
func opensshKey(key ed25519.PrivateKey) []byte {
	field := func(parts ...[]byte) []byte {
		b := bytes.Join(parts, nil)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	kind, public := field([]byte("ssh-ed25519")), field(key.Public().(ed25519.PublicKey))
	check := canary(4)
	data := bytes.Join([][]byte{
		[]byte("openssh-key-v1\x00"), field([]byte("none")), field([]byte("none")), field(), []byte("\x00\x00\x00\x01"),
		field(kind, public), field(check, check, kind, public, field(key), field([]byte("me@host")), []byte{1, 2, 3}),
	}, nil)
	text := wrap(base64.StdEncoding.EncodeToString(data), 70, "\n")
	return []byte("-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + text + "-----END OPENSSH " + "PRIVATE KEY-----\n")
}

// dumps is data as tools show it.
func dumps(data []byte) map[string][]byte {
	b64 := base64.StdEncoding.EncodeToString(data)
	return map[string][]byte{
		"as is":    data,
		"base64":   []byte(b64),
		"wrapped":  []byte(wrap(b64, 76, "\n")),
		"pem":      []byte(wrap(b64, 64, "\n")),
		"hex":      []byte(hex.EncodeToString(data)),
		"xxd -p":   []byte(wrap(hex.EncodeToString(data), 60, "\n")),
		"shifted":  []byte(base64.StdEncoding.EncodeToString(append([]byte("u"), data...))),
		"shifted2": []byte(base64.StdEncoding.EncodeToString(append([]byte("u:"), data...))),
	}
}

func TestPrivateKeysButNotTheirPublicParts(t *testing.T) {
	others := keyFiles(t)
	for name, files := range keyFiles(t) {
		t.Run(name, func(t *testing.T) {
			file, public := files[0], files[1]
			document, _ := json.Marshal(map[string]string{"private_key": string(file), "type": "service_account"})
			der, _ := pem.Decode(file)
			for how, value := range map[string][]byte{"alone": file, "in JSON": document, "in a dotenv": fmt.Appendf(nil, "OTHER=xyz\nKEY=%q\n", file)} {
				n := needlesFor(t, value)
				for kind, text := range dumps(der.Bytes) {
					if !leaks(n, text) {
						t.Errorf("%s: %s of the DER is not found", how, kind)
					}
				}
				for kind, text := range dumps(file) {
					if !leaks(n, text) {
						t.Errorf("%s: %s of the file is not found", how, kind)
					}
				}
				clean := []([]byte){public, block("PUBLIC KEY", public), others[name][0], []byte("-----BEGIN RSA PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----")}
				for _, data := range clean {
					for kind, text := range dumps(data) {
						if leaks(n, text) {
							t.Errorf("%s: false alarm in %s of %.30q", how, kind, data)
						}
					}
				}
			}
		})
	}
}

func TestPublicBlocksCountOnlyAlone(t *testing.T) {
	certificate := block("CERTIFICATE", canary(300))
	key := block("PRIVATE KEY", canary(100))
	if leaks(needlesFor(t, append(bytes.Clone(certificate), key...)), certificate) {
		t.Error("a certificate next to a key is taken for a secret")
	}
	if !leaks(needlesFor(t, certificate), certificate) {
		t.Error("a certificate alone is not searched for")
	}
}

func FuzzForms(f *testing.F) {
	f.Add([]byte("machine a login b password cdefghijkl"))
	f.Add([]byte(`{"auths":{"x":{"auth":"dTpwYXNzd29yZA=="}},"k":["\ud800"]}`))
	f.Add([]byte("a=b\n[c]\nexport d: 'e'\nhttps://u:p@h/"))
	f.Add([]byte("-----BEGIN A-----\nAAAA\n-----END A-----"))
	f.Add([]byte("-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAAAAAAAAAAAAAAAAAA\n-----END A-----"))
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, form := range formsOf(value) {
			if form.lo < 0 || form.lo > form.hi || form.hi > len(form.text) {
				t.Fatalf("range %d-%d of %d bytes", form.lo, form.hi, len(form.text))
			}
		}
		if len(bytes.TrimSpace(value)) >= MinLen && !leaks(needlesFor(t, value), value) {
			t.Errorf("%q is not found in itself", value)
		}
	})
}
