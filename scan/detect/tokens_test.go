package detect

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tokenIDs are the rules that find something in a text, each as often as it does.
func tokenIDs(text string) []string {
	var ids []string
	for i := range tokens {
		t := &tokens[i]
		seen := map[int]bool{}
		for _, anchor := range t.anchors {
			for at := 0; ; at++ {
				n := strings.Index(text[at:], anchor)
				if n < 0 {
					break
				}
				at += n
				if start, end, ok := t.at("", []byte(text), at); ok && !seen[start] && start < end && end <= len(text) {
					seen[start] = true
					ids = append(ids, t.ID)
				}
			}
		}
	}
	return ids
}

func tokenRand() *rand.Rand { return rand.New(rand.NewPCG(20261101, 7)) }

func TestTokensAreFound(t *testing.T) {
	for i := range tokens {
		tok := &tokens[i]
		t.Run(tok.ID, func(t *testing.T) {
			r := tokenRand()
			for range 20 {
				sample := tok.sample(r)
				quoted, err := json.Marshal(map[string]string{"note": "first\n" + sample + "\nlast"})
				if err != nil {
					t.Fatal(err)
				}
				for name, text := range map[string]string{
					"assigned": `x = "` + sample + "\"\n", "alone": sample, "start": sample + "\n# more\n", "end": "a: b\nc: " + sample,
					"JSON": string(quoted), "CRLF": "y=" + sample + "\r\n", "comma": "(" + sample + ", 1)",
				} {
					if got := tokenIDs(text); !slices.Equal(slices.Compact(got), []string{tok.ID}) {
						t.Errorf("%s: found %q in a text of this form: %s", name, got, masked(sample))
					}
				}
			}
		})
	}
}

// masked shows the form of a sample.
func masked(s string) string {
	return regexp.MustCompile(`[0-9A-Za-z]`).ReplaceAllStringFunc(s, func(c string) string {
		switch {
		case isDigit(c[0]):
			return "0"
		case isUpper(c[0]):
			return "A"
		}
		return "a"
	})
}

func TestTokensThatAreNone(t *testing.T) {
	for i := range tokens {
		tok := &tokens[i]
		for _, text := range tok.not {
			for _, in := range []string{text, `x = "` + text + "\"\n", `{"k":"` + text + `"}`} {
				if got := tokenIDs(in); len(got) > 0 {
					t.Errorf("%s: found %q in %q", tok.ID, got, in)
				}
			}
		}
		if tok.match != nil {
			continue
		}
		sample := tok.sample(tokenRand())
		for name, text := range map[string]string{
			"cut":   sample[:len(sample)/4],
			"zeros": regexp.MustCompile(`[\w-]{12,}`).ReplaceAllStringFunc(sample, func(s string) string { return s[:8] + strings.Repeat("0", len(s)-8) }),
			"X":     regexp.MustCompile(`[\w-]{12,}`).ReplaceAllStringFunc(sample, func(s string) string { return s[:8] + strings.Repeat("X", len(s)-8) }),
		} {
			if got := tokenIDs(text); slices.Contains(got, tok.ID) {
				t.Errorf("%s: found where it is %s: %s", tok.ID, name, masked(text))
			}
		}
		if text := "a" + sample + "b"; !tok.inWord && !strings.ContainsAny(sample, "=:") && slices.Contains(tokenIDs(text), tok.ID) {
			t.Errorf("%s: found in the middle of a word: %s", tok.ID, masked(text))
		}
	}
}

// TestTokensInBytecode has a string as Python's marshal writes it: a letter, its length, and the next object right after.
func TestTokensInBytecode(t *testing.T) {
	for _, id := range []string{"npm-access-token", "huggingface-access-token", "stripe-access-token", "github-pat", "deepseek-api-key"} {
		i := slices.IndexFunc(tokens, func(tok token) bool { return tok.ID == id })
		for r, n := tokenRand(), 0; n < 20; n++ {
			sample := tokens[i].sample(r)
			text := "\xe3\x00z" + string(rune(len(sample))) + sample + "N)\x01Z\x03key"
			if got := tokenIDs(text); !slices.Contains(got, id) {
				t.Errorf("%s: not found in bytecode: %s", id, masked(sample))
			}
		}
	}
}

func TestTokenLookAlikes(t *testing.T) {
	r := tokenRand()
	for name, form := range map[string]string{
		"commit":        "commit {x40}\nindex {x7}..{x7} 100644\n",
		"UUID":          "id: {x8}-{x4}-4{x3}-a{x3}-{x12}\n",
		"integrity":     `"integrity": "sha512-{b86}==", "shasum": "{x40}"` + "\n",
		"go.sum":        "golang.org/x/text v0.3.{d1} h1:{b43}=\ngolang.org/x/text v0.3.{d1}/go.mod h1:{b43}=\n",
		"image":         "url(data:image/png;base64,iVBORw0KGgoAAAANSUhEUg{b400}==)\n",
		"base64 lines":  strings.Repeat("{b76}\n", 20),
		"PEM lines":     strings.Repeat("{b64}\n", 20),
		"source map":    "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpb{b300}\n",
		"digest":        "FROM alpine@sha256:{x64}\n",
		"sri":           `<script src="https://cdn.net/a.js" integrity="sha384-{b64}">` + "\n",
		"hash list":     "{x32}  ./usr/share/doc/a\n{x64}  b\n{x128}  c\n",
		"style":         ".sk-circle-fade-dot{color:#{x6}}.token-{a6}:hover{}.pat{a5}{n6}.re_{a8}_{a12}{}\n",
		"minified":      "var hf_{a10},sk_{a12},re_{a8},pk_{d3}=\"{w8}\",live_{a9}=key-{d2};t.test_{a20}()\n",
		"e-mail":        "Message-ID: <{w20}.{d12}.{w10}@mail.corp.net>\n",
		"addresses":     "https://a.b/c@d:e@f https://{a8}.{a6}.com/@{a8}/{a8}@1.{d1}.{d1} http://[::1]:{d4}/\n",
		"protocol":      "{w4}AAAA{w4}AKIA{a8}ASIA_PACIFIC EAAA{b30}\n",
		"documentation": "Authorization: Bearer YOUR_TOKEN\nAuthorization: Basic $CREDENTIALS\ncurl -u \"$USER:$PASS\" https://x\n",
		"ssh":           "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b43} a@b\n",
		"no context":    "cache key-{x32} fc-{x32} request api-{x8}-{x4}-4{x3}-a{x3}-{x12} EAAA{u60} /a?v=1&sig={w43}%3D\n",
		"hash":          "4b1d{x38} dapi{x31} 0x4b1d{x36} 1/{d16}:{x31}\n",
		"machine ids":   "0x{x16} {d10}:{d10} {X2}:{X2}:{X2}:{X2}:AA:{X2}\n",
	} {
		for range 50 {
			text := fillLines(r, form)
			if got := tokenIDs(text); len(got) > 0 {
				t.Errorf("%s: found %q in %q", name, got, text)
			}
		}
	}
}

// fillLines fills a form that has braces of its own.
func fillLines(r *rand.Rand, form string) string {
	return regexp.MustCompile(`\{[a-zA-Z]\d+\}`).ReplaceAllStringFunc(form, func(s string) string { return fill(r, s) })
}

// TestWrongChecksums changes one letter of tokens that have a sum.
func TestWrongChecksums(t *testing.T) {
	for _, id := range []string{"github-pat", "github-oauth", "github-refresh-token", "npm-access-token", "grafana-service-account-token"} {
		i := slices.IndexFunc(tokens, func(tok token) bool { return tok.ID == id })
		for r, n := tokenRand(), 0; n < 20; n++ {
			text := []byte(tokens[i].sample(r))
			text[5+r.IntN(len(text)-5)]++
			if got := tokenIDs(string(text)); len(got) > 0 {
				t.Errorf("%s: found with a wrong sum", id)
			}
		}
	}
}

func TestTokenTable(t *testing.T) {
	ids := map[string]bool{}
	for i := range tokens {
		tok := &tokens[i]
		if ids[tok.ID] {
			t.Errorf("%s: twice", tok.ID)
		}
		ids[tok.ID] = true
		if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(tok.ID) {
			t.Errorf("%s: not words with dashes", tok.ID)
		}
		if tok.Title == "" || tok.Why == "" || !strings.HasSuffix(tok.Why, ".") || tok.Severity == "" || tok.sample == nil || len(tok.anchors) == 0 {
			t.Errorf("%s: incomplete", tok.ID)
		}
		if (tok.pattern == "") == (tok.match == nil) {
			t.Errorf("%s: needs a pattern or a func", tok.ID)
		}
		for _, a := range tok.anchors {
			if len(a) < 4 {
				t.Errorf("%s: anchor %q is too short", tok.ID, a)
			}
		}
	}
}

// TestNameOfFile has a token that needs a word near it, which is in the name of its file.
func TestNameOfFile(t *testing.T) {
	text := fillLines(tokenRand(), `local mg = { key = "key-{x32}" }`)
	for path, want := range map[string]int{"app/src/mailgun.lua": 1, "app/Mailgun/client.lua": 0, "app/mail.lua": 0, "": 0} {
		if got := findAll(Content{Path: path, Data: []byte(text)}); len(got) != want {
			t.Errorf("in %q: %d found", path, len(got))
		}
	}
}

// TestTokensNextToTheEdge takes every way to cut a text with a token in it.
func TestTokensNextToTheEdge(t *testing.T) {
	r := tokenRand()
	for i := range tokens {
		text := []byte("x=" + tokens[i].sample(r) + " ")
		for end := range text {
			for _, anchor := range tokens[i].anchors {
				if at := bytes.Index(text[:end], []byte(anchor)); at >= 0 {
					tokens[i].at("", text[:end:end], at) // must not panic
				}
			}
		}
	}
}

func FuzzTokens(f *testing.F) {
	r := tokenRand()
	for i := range tokens {
		f.Add([]byte(tokens[i].sample(r)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i := range tokens {
			for at := range text {
				for _, anchor := range tokens[i].anchors {
					if !bytes.HasPrefix(text[at:], []byte(anchor)) {
						continue
					}
					if start, end, ok := tokens[i].at("", text, at); ok && (start < 0 || start >= end || end > len(text)) {
						t.Fatalf("%s: [%d:%d] of %d bytes", tokens[i].ID, start, end, len(text))
					}
				}
			}
		}
	})
}

func TestPassword(t *testing.T) {
	for _, no := range []string{"", "password", "Password1", "p@ssw0rd", "hunter2", "s3cr3t", "${DB_PASSWORD}", "{{password}}", "%s", "<password>", "xxxxxxxx", "********", "changeme",
		"foobared", "SuperSecret!", "deploy", "deploy1", "12345678", "secretpassword", "my-secret-pw", "$PASS", "mypass", "abc123", "guest", "[^@]+"} {
		if password(no, "deploy") {
			t.Errorf("%q counts as a real one", no)
		}
	}
	r := tokenRand()
	for range 200 {
		if p := like("{w12,16,20}")(r); !password(p, "deploy") {
			t.Errorf("%s does not count", masked(p))
		}
	}
	for _, yes := range []string{"Tr0ub4dor&3x", "kV9$mPq2", "winter-2024-Berlin", "zxqvkjwpfh"} {
		if !password(yes, "deploy") {
			t.Errorf("%q does not count", yes)
		}
	}
}

func TestPlausible(t *testing.T) {
	for _, no := range []string{
		"npm_EXAMPLExqPz81kLm2Vb", "AKIAXXXXXXXXXXXXXXXX", "key-00000000q8Zk2mXv91Lp", "sk-Vb7abcdefgQz81kLm2Vx", "x9Kq7654321mZp2LvB81qT", "a1b2c3d4e5f6Qz81kLm2Vx", "tok_q8Zk3vW1xTq8Zk3vW1xTq8Zk3vW1xT",
		"hf_yourTokenqPz81kLm2Vb", "0xdeadbeefqPz81kLm2Vb", "aabbaabbabab",
	} {
		if plausible(no) {
			t.Errorf("%q counts as a real one", no)
		}
	}
	r := tokenRand()
	for _, form := range []string{"{w36}", "{x64}", "{x32}", "{u93}", "{b400}", "{n26}", "{l34}"} {
		bad := 0
		for range 2000 {
			if !plausible(fill(r, form)) {
				bad++
			}
		}
		if bad > 4 {
			t.Errorf("%d of 2000 %s do not count", bad, form)
		}
	}
}

// TestNotTold has good passwords in places that are no leaks, or another rule's.
func TestNotTold(t *testing.T) {
	r := tokenRand()
	pass, easy, github := like("{w20}")(r), "Berlin-2024", codeTokens[0].sample(r)
	for _, text := range []string{
		"https://a:" + easy + "@example.com/", "https://a:" + easy + "@git.example.org/", "https://a:" + easy + "@host/", "http://a:" + easy + "@www.foo.com", "https://a:" + easy + "@corp.test",
		"http://a:" + easy + "@localhost:8080", "http://a:" + easy + "@127.0.0.1/", "https://corp.net/" + pass + "@x:y", "https://Corp-2024-x:Corp-2024-x@corp.net", "https://a:foopassword1@corp.net",
		"libcurl -u a:" + pass, "x-curl -u a:" + pass, "curl -o a:" + pass, "docker login -u " + pass, "mysql -p " + pass, "htpasswd -c a " + pass, "echo " + pass + "\nchpasswd", "vault login -method=x user=" + pass,
		"curl -u a https://b; x -u a:" + pass, "authorization: none " + pass, "glpat-" + pass + "kwmzqxrtvb.01.0z1234567",
		"glpat-" + pass + "kwmzqxrtvb.01.0k1234567", "DISCORD_TOKEN=" + base64.RawURLEncoding.EncodeToString([]byte("0-settings-of-app")) + like(".G{w5}.{u38}")(r),
	} {
		if got := tokenIDs(text); len(got) > 0 {
			t.Errorf("found %q in %s", got, masked(text))
		}
	}
	for _, text := range []string{"https://x:" + github + "@github.com/a/b", "https://" + github + "@github.com/a/b", "curl -u a:" + github + " x", "Authorization: token " + github, ";Password=" + github} {
		if got := tokenIDs(text); !slices.Equal(got, []string{"github-pat"}) {
			t.Errorf("found %q in %s", got, masked(text))
		}
	}
}

// TestTokenValues has a secret in several surroundings, and wants exactly that.
func TestTokenValues(t *testing.T) {
	r := tokenRand()
	for id, forms := range map[string][]string{
		"url-credentials": {
			"git clone https://oauth2:SECRET@gitlab.corp.net/a/b.git", "DATABASE_URL=postgres://app:SECRET@db:5432/app?sslmode=disable", `"uri":"mongodb+srv://u:SECRET@c0.ab1.mongodb.net/x"`,
			"redis://:SECRET@10.0.0.4:6379/0", "https://SECRET@git.corp.net/a/b", "https://SECRET:x-oauth-basic@git.corp.net/a/b", "pip install -i https://ci:SECRET@pypi.corp.net/simple x",
			"mysql+pymysql://root:SECRET@mysql.svc/app", "http_proxy=http://joe:SECRET@proxy:3128", "//a\nhttps://u:SECRET@corp.net\\n", "https://user@corp.net:SECRET@corp.net/",
		},
		"command-credential": {
			"RUN curl -fsSLu ci:SECRET https://corp.net/x | sh", `curl --user "ci:SECRET" https://corp.net/x`, "curl -X POST -d @a \\\n  -u 'ci:SECRET' https://corp.net/x", "curl --user=ci:SECRET x",
			`["docker","login","-u","ci","-p","SECRET","r.corp.net"]` + "; docker login -pSECRET", "docker login --username=ci --password=SECRET", "podman login -p SECRET r.corp.net", "sshpass -pSECRET ssh a@b",
			"helm registry login r.corp.net -u ci -p SECRET", "mysqldump -u root --password=SECRET db", "mysql -uroot -pSECRET -e 'select 1'", "redis-cli -a SECRET", "echo \"app:SECRET\" | chpasswd",
			"echo 'root:SECRET'|chpasswd", "openssl enc -d -aes-256-cbc -pass pass:SECRET -in a", "rabbitmqctl add_user app SECRET", "htpasswd -b -c /etc/htpasswd app SECRET", "useradd -p $(openssl passwd -1 SECRET) ci",
			"composer config http-basic.repo.corp.net user SECRET", "aws configure set aws_secret_access_key SECRET", "keytool -storepass SECRET -alias a", `/bin/sh -c curl -u \"ci:SECRET\" https://corp.net`,
		},
		"connection-string-password": {"Server=tcp:a,1433;User ID=b;Password=SECRET;Encrypt=True", "jdbc:postgresql://db/x?user=a\\u0026password=SECRET\\u0026ssl=true", "Data Source=a;Uid=b;Pwd=SECRET"},
		"authorization-bearer": {
			"curl -H 'Authorization: Bearer SECRET' https://corp.net", `"Authorization": "token SECRET"`, `req.Header.Set("Authorization", "Bearer SECRET")`, `{\"authorization\":\"Bearer SECRET\"}`,
		},
		"azure-storage-account-key": {"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=KEY64;EndpointSuffix=core.windows.net"},
		"okta-access-token":         {"Authorization: SSWS OKTA"},
	} {
		for _, form := range forms {
			for from, to := range map[string]string{"SECRET": "{w24}", "KEY64": "{b86}==", "OKTA": "00{u40}"} {
				if secret := like(to)(r); strings.Contains(form, from) {
					wantToken(t, id, strings.ReplaceAll(form, from, secret), secret)
				}
			}
		}
	}
}

func wantToken(t *testing.T, id, text, want string) {
	t.Helper()
	for i := range tokens {
		for _, anchor := range tokens[i].anchors {
			if at := strings.Index(text, anchor); at >= 0 && tokens[i].ID == id {
				if start, end, ok := tokens[i].at("", []byte(text), at); ok && text[start:end] == want {
					return
				}
			}
		}
	}
	t.Errorf("%s: not found in %s", id, masked(text))
}

func TestAWSPair(t *testing.T) {
	r := tokenRand()
	id, secret, hash := like("AKIA{216}")(r), like("{b40}")(r), fill(r, "{x40}")
	for _, text := range []string{
		"[default]\naws_access_key_id = ID\naws_secret_access_key = SECRET\n", "export AWS_SECRET_ACCESS_KEY=SECRET\nexport AWS_ACCESS_KEY_ID=ID\n",
		`{"accessKeyId":"ID","secretAccessKey":"SECRET"}`, "# HASH\nnew AWS.Credentials('ID', 'SECRET')", "ID SECRET", "aws_access_key_id: ID\ncommit: HASH\nsecret: \"SECRET\"\n",
	} {
		text = strings.NewReplacer("ID\n", id+"\n", "ID\"", id+"\"", "ID'", id+"'", "ID ", id+" ", "SECRET\n", secret+"\n", "SECRET\"", secret+"\"", "SECRET'", secret+"'", "HASH", hash).Replace(text)
		text = strings.TrimSuffix(text, "SECRET")
		if !strings.Contains(text, secret) {
			text += secret
		}
		wantToken(t, "aws-access-key", text, secret)
	}
	for _, text := range []string{id, "x = " + id + strings.Repeat(" ", awsNearness) + secret, id + " " + hash, id + " " + strings.Repeat("a/b-C", 8)} {
		if got := tokenIDs(text); !slices.Equal(got, []string{"aws-access-key-id"}) {
			t.Errorf("found %q in %s", got, masked(text))
		}
	}
}

func TestTokensAfterEscapes(t *testing.T) {
	r := tokenRand()
	for _, before := range []string{`\n`, `\t`, `\u003d`, `\u0022`, `\x3d`, "%3D", "%22", "\x1b[0m", "\x1b[32m", "\x1b[1;31m", "=", "é"} {
		text := before + like("r8_{w37}")(r)
		if got := tokenIDs(text); !slices.Equal(got, []string{"replicate-api-token"}) {
			t.Errorf("found %q after %q", got, before)
		}
	}
	if got := tokenIDs(like("r8_{w37}")(r) + "x"); len(got) > 0 {
		t.Errorf("found %q before a letter", got)
	}
	for _, before := range []string{"n", "D", "3D", "_", "x3d", "%n", "0m"} {
		if got := tokenIDs("." + before + like("r8_{w37}")(r)); len(got) > 0 {
			t.Errorf("found %q after %q", got, before)
		}
	}
}

func TestPublicJWT(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	signed := func(header, claims, key string) string {
		text := encode([]byte(header)) + "." + encode([]byte(claims))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return text + "." + encode(mac.Sum(nil))
	}
	const header, claims = `{"alg":"HS256","typ":"JWT"}`, `{"sub":"u-71","iat":1760000000}`
	if got := tokenIDs(signed(header, claims, "kU7w2Lq9Zx")); !slices.Equal(got, []string{"jwt"}) {
		t.Errorf("found %q in a token", got)
	}
	for what, text := range map[string]string{
		"signed with a known key": signed(header, claims, "your-256-bit-secret"),
		"of jwt.io":               signed(header, `{"sub":"1234567890","name":"John Doe","iat":1516239022}`, "kU7w2Lq9Zx"),
		"without times":           signed(header, `{"some":"payload"}`, "kU7w2Lq9Zx"),
		"for browsers":            signed(header, `{"iss":"supabase","role":"anon","iat":1760000000}`, "kU7w2Lq9Zx"),
		"of no algorithm":         signed(`{"alg":"none","typ":"JWT"}`, claims, "kU7w2Lq9Zx"),
		"not signed":              encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode([]byte(claims)) + ".",
		"without an algorithm":    signed(`{"typ":"JWT","kid":"12345"}`, claims, "kU7w2Lq9Zx"),
		"encrypted":               signed(header, claims, "kU7w2Lq9Zx") + ".QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8",
		"claims that are no JSON": encode([]byte(header)) + ".eyJzdWIiOiJ1LTcxIiwiaWF0Ijo." + encode(bytes.Repeat([]byte("abc/7"), 7)),
	} {
		if got := tokenIDs(text); len(got) > 0 {
			t.Errorf("found %q in a token %s", got, what)
		}
	}
}

// BenchmarkAddress is what an address without a password costs: there are a million of them in an image.
func BenchmarkAddress(b *testing.B) {
	text := []byte(`see https://www.gnu.org/licenses/old-licenses/gpl-2.0.html for details`)
	at := bytes.Index(text, []byte("s://"))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := urlCredentials(text, at); ok {
			b.Fatal("found")
		}
	}
}

// BenchmarkNoToken is what the anchors cost that are found most often.
func BenchmarkNoToken(b *testing.B) {
	for id, text := range map[string]string{
		"airtable-personal-access-token": "patterns of the path", "resend-api-key": "re_compile_fastmap(bufp)", "authorization-basic": "authorization is required", "jwt": "eyJ2ZXJzaW9uIjozLCJzb3VyY2Vz",
	} {
		i := slices.IndexFunc(tokens, func(t token) bool { return t.ID == id })
		b.Run(id, func(b *testing.B) {
			b.ReportAllocs()
			in := []byte(text)
			for b.Loop() {
				tokens[i].at("", in, 0)
			}
		})
	}
}
