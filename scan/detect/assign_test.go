package detect

import (
	"strings"
	"testing"
)

func TestSecretName(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "DB_PASSWORD": true, "dbPassword": true, "db.password": true, "npm_token": true, "NPMToken": true, "API_KEY": true, "apiKey": true,
		"x-api-key": true, "AWS_SECRET_ACCESS_KEY": true, "clientSecret": true, "MYSQL_ROOT_PASSWORD": true, "PASS": true, "DB_PASS": true, "auths.host.auth": true,
		"spring.datasource.password": true, "users.token": true, "secret.value": true, "SECRET_KEY_BASE": true, "build-arg:NPM_TOKEN": true,
		"PASSWORD_FILE": false, "tokenPath": false, "TOKEN_TTL": false, "AWS_ACCESS_KEY_ID": false, "publicKey": false, "primary_key": false, "author": false,
		"Jwt.Key": true, "encryption.key": true, "app.signing.key": true, "primary.key": false, "cache.key": false, "secretKeyRef.key": false, "password_ref": false, "key": false,
		"authority": false, "passive": false, "compass": false, "bypass": false, "tokenizer": false, "max_tokens": false, "password_min_length": false,
		"csrf_token": false, "secretName": false, "monkey": false, "keyId": false, "kms_alias": false, "PASSWORD_POLICY": false, "": false, "...": false,
	} {
		if got := secretName(name); got != want {
			t.Errorf("secretName(%q) = %v", name, got)
		}
	}
}

func TestPlaceholder(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "x": true, "changeme": true, "CHANGE_ME": true, "${TOKEN}": true, "$TOKEN": true, "%TOKEN%": true, "{{ token }}": true, "<token>": true,
		"<your-token>": true, "your_token_here": true, "xxxxxxxx": true, "********": true, "password123": true, "env:TOKEN": true, "vault:kv/x": true,
		"{AbCd=}": true, "process.env.TOKEN": true, "os.environ['X']": true, "ENC[AES256_GCM,data:x]": true, "example-token": true, "aaaaaaaa": true, "null": true,
		"hunter2": false, "Winter-Kestrel42!": false, "s3cr3t-pa55": false, "p@ss$word9": false,
	} {
		if got := placeholder(value); got != want {
			t.Errorf("placeholder(%q) = %v", value, got)
		}
	}
}

func TestInAddress(t *testing.T) {
	for value, want := range map[string]bool{
		"https://ci:%@pypi.corp.example/simple": true, "https://a.corp.example,https://ci:%@b.corp.example,direct": true, "postgres://u:p@h/db": true, "redis://:%@h": true,
		"Server=db;User=app;Password=%": true, "https://%:@git.corp.example": true,
		"https://ci@corp.example": false, "ssh://git@git.corp.example/a:b": false, "https://ci:${TOKEN}@corp.example": false, "https://ci:$T@corp.example": false,
		"https://ci:@corp.example": false, "https://ci:changeme@corp.example": false, "registry.corp.example:5000/app@sha256:ab": false, "": false, "Password=%": false,
	} {
		if got := InAddress(strings.ReplaceAll(value, "%", someSecret)); got != want {
			t.Errorf("InAddress(%q) = %v", value, got)
		}
	}
}

// someSecret looks like what a machine made.
const someSecret = "kX9" + "vQ2mZ7" + "tLb4Wc8R" + "nJ5hY1s"

func findAll(c Content) (values []string) {
	for _, m := range New().Find(c) {
		values = append(values, string(c.Data[m.Start:m.End]))
	}
	return values
}

func TestAssignments(t *testing.T) {
	for _, text := range []string{
		`password = "%"`, `"password": "%"`, `password: %`, `dbPassword := "%"`, `const apiKey = '%';`, `export API_KEY=%`, `API_KEY="%"`, `<password>%</password>`,
		`api_key => '%',`, `{\"token\":\"%\"}`, `client_secret = %`, `conn --password % --user x`, `--api-key=%`, `let token: string = "%"`, `  accessToken:   '%'`,
		"# top\n\nsecret_key:\t%\nnext: 1", `var x={token:"%",user:"a"}`, `config["secret"] = "%"`,
	} {
		text = strings.ReplaceAll(text, "%", someSecret)
		if got := findAll(Content{Data: []byte(text)}); len(got) != 1 || got[0] != someSecret {
			t.Errorf("%s: found %q", text, got)
		}
	}
}

func TestNoAssignments(t *testing.T) {
	for _, text := range []string{
		`password = "hunter2"`, `password = getPassword()`, `password = cfg.Password`, `token = "${TOKEN}"`, `tokenPath = "/run/secrets/` + someSecret + `"`,
		`api_key = "YOUR_API_KEY_GOES_HERE"`, `token_url: https://auth.corp.example/` + someSecret, `if token == nil {`, `secret: my-application-secret-name`,
		`password: "The password of the user that connects"`, `tokens = tokenizer.encode("some words to be encoded")`, `AUTH_KEY_ID=` + someSecret,
		`sha256 = "` + strings.Repeat("0a1b2c3d", 8) + `"`, `getElementsByTagName="` + someSecret + `"`, `passwordHash = "` + someSecret + `"`,
		`secret: "com.example.application.SecretKeyFactory"`, `token = "AbstractTokenStreamComponentsFactory"`,
	} {
		if got := findAll(Content{Data: []byte(text)}); len(got) != 0 {
			t.Errorf("%s: found %q", text, got)
		}
	}
}

func TestSettings(t *testing.T) {
	for text, want := range map[string]int{
		"DB_PASSWORD=hunter2": 1, "NPM_TOKEN=" + someSecret: 1, "PATH=/usr/bin": 0, "TOKEN_FILE=/run/secrets/x": 0, "DB_PASSWORD=": 0,
		"DB_PASSWORD=changeme": 0, "GPG_KEY=" + strings.Repeat("A035C8C1", 5): 0, "PASSWORD=/run/secrets/pw": 0,
	} {
		if got := findAll(Content{Data: []byte(text), Kind: Setting}); len(got) != want {
			t.Errorf("%s: found %q", text, got)
		}
	}
}

func TestCommands(t *testing.T) {
	for text, want := range map[string]int{
		"RUN |1 NPM_TOKEN=hunter2 /bin/sh -c npm ci": 1, "ENV DB_PASSWORD=hunter2": 1, "RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN npm ci": 0,
		"RUN /bin/sh -c token=$(cat /run/secrets/token) && curl -H \"Authorization: Bearer $token\" https://npm.corp.example": 0, "ARG TOKEN": 0,
		"/bin/sh -c docker login --password-stdin": 0,
	} {
		if got := findAll(Content{Data: []byte(text), Kind: Command}); len(got) != want {
			t.Errorf("%s: found %q", text, got)
		}
	}
}

func TestEncoded(t *testing.T) {
	setting := "password = \"" + someSecret + "\""
	wide := []byte{0xff, 0xfe}
	for _, c := range []byte(setting) {
		wide = append(wide, c, 0)
	}
	matches := New().Find(Content{Data: wide})
	if len(matches) != 1 || matches[0].Encoding != "utf-16" || string(wide[matches[0].Start:matches[0].Start+2]) != someSecret[:1]+"\x00" || matches[0].End-matches[0].Start != 2*len(someSecret) {
		t.Errorf("UTF-16: %+v", matches)
	}
}

func FuzzFind(f *testing.F) {
	d := New()
	f.Add([]byte("password = \""+someSecret+"\""), "etc/app.conf", 0)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMIIC"), ".npmrc", 1)
	f.Add([]byte("key: |\n"+broken("# settings\npassword = \""+someSecret+"\"\n# and more of them, and more of them\n", 64, "\r\n", "  ")), "a.yml", 0)
	f.Add([]byte(`new PDO("a", b(c), \"`+someSecret+`\")`), "a.php", 0)
	f.Fuzz(func(t *testing.T, text []byte, path string, kind int) {
		for _, m := range d.Find(Content{Path: path, Data: text, Kind: Kind(kind & 3 % 3)}) {
			if m.Start < 0 || m.End > len(text) || m.Start > m.End || m.Rule == nil {
				t.Errorf("%+v in %d bytes", m, len(text))
			}
		}
	})
}
