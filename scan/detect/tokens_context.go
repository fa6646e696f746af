package detect

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// contextTokens are known by what stands around them.
var contextTokens = []token{
	{
		Rule: Rule{ID: "url-credentials", Title: "password in an address", Severity: finding.High,
			Why: "Whoever reads the address can log in to the server in it.",
			Fix: "# git: RUN --mount=type=secret,id=netrc,target=/root/.netrc git clone https://…\n# databases: give the address at run time"},
		anchors: expand2("a-z0-9", "://"), match: urlCredentials,
		sample: oneOf("postgresql://app:{w16}@db.corp.internal:5432/app", "https://deploy:{w24}@git.corp.internal/a/b.git", "amqp://worker:{w14}@10.0.3.7/"),
		not: []string{"https://user:pass@example.com", "https://github.com/a/b@v1.2.3", "postgres://user:password@localhost/db",
			"mysql://root:$MYSQL_PASSWORD@db", "http://{user}:{password}@host/", "redis://alice:foobared@awesome.redis.server:6380", "https://en.wikipedia.org/wiki/A:B@C", "mongodb://<username>:<password>@cluster0.mongodb.net"},
	},
	{
		Rule: high("connection-string-password", "password in a connection string",
			"Whoever reads it can log in to the database or server in it."),
		anchors: []string{";Password=", ";password=", ";PASSWORD=", ";Pwd=", ";pwd=", ";PWD=", "&password=", "?password=", "u0026password="},
		match:   connectionString,
		sample:  oneOf("Server=db;Database=app;User Id=app;Password={w16};", "jdbc:mysql://db/app?user=app&password={w16}"),
		not:     []string{"Server=db;User Id=app;Password=password;", "?user=fred&password=secret&ssl=true", "Server=db;Password={0};"},
	},
	{
		Rule: high("authorization-basic", "password in an Authorization header",
			"Whoever reads it can log in to the server it is sent to: it is the user and password in base64."),
		anchors: []string{"Authorization", "authorization", "AUTHORIZATION"}, match: basicHeader, sample: sampleBasic,
		not: []string{"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic <credentials>",
			`"authorization", "Basic " + token`},
	},
	{
		Rule: medium("authorization-bearer", "token in an Authorization header",
			"Whoever reads it can call the server it is sent to, until it expires."),
		anchors: []string{"Authorization", "authorization", "AUTHORIZATION"}, match: bearerHeader, sample: like("Authorization: Bearer {w40}"),
		not: []string{"Authorization: Bearer $TOKEN", "Authorization: Bearer mF_9.B5f-4.1JqM", "Authorization: Bearer <token>",
			"authorization: bearer authentication_required_by_server"},
	},
	{
		Rule: high("call-credential", "password in a program",
			"Whoever reads the program can log in to the database or server that it connects to."),
		anchors: callAnchors(), match: calledPassword,
		sample: oneOf(`getConnection("jdbc:mysql://db.corp.internal/app", "app", "{w16}");`, `mysqli_connect('db.corp.internal', 'app', '{w20}', 'app')`,
			`new PDO($dsn, $user, '{w16}', [PDO::ATTR_PERSISTENT => true])`, `req.SetBasicAuth("deploy", "{w24}")`, "new NetworkCredential(\n  \"ci\",\n  \"{w16}\"\n)"),
		not: []string{`getConnection(url, user, password)`, `getConnection("jdbc:h2:mem", "sa", "")`, `mysqli_connect("localhost", "root", "password")`, `new PDO('mysql:host=db;dbname=app')`,
			`SetBasicAuth(user, os.Getenv("DEPLOY_PASSWORD_2024"))`, `HTTPBasicAuth("ci", "prefix-" + Kestrel42)`, `getConnection("a", f("b", "Copper-Kestrel42"))`},
	},
	{
		Rule: Rule{ID: "command-credential", Title: "password on a command line", Severity: finding.High,
			Why: "It stays in the history of the image, in scripts and logs.",
			Fix: "RUN --mount=type=secret,id=password curl -u \"user:$(cat /run/secrets/password)\" …"},
		anchors: commandAnchors(), match: toldPassword,
		sample: oneOf("curl -fsSL -u deploy:{w20} https://corp.internal/a", "docker login -u ci -p {w24} registry.corp.internal",
			"sshpass -p {w16} ssh a@b", "mysql -uroot -p{w16} app", "redis-cli -h cache -a {w24} ping", "echo root:{w16} | chpasswd", "wget --user=a --password={w20} https://corp.internal/a"),
		not: []string{"curl -u user:password https://example.com", "curl -u $USER:$PASSWORD https://a.b", "docker login -u ci -p ${TOKEN} registry",
			"sshpass -e ssh a@b", "mysql -u root -p app", "curl -u username https://a.b", "docker login -p \"$(cat token)\""},
	},
}

// expand2 makes anchors of a suffix that is too short for one.
func expand2(class, suffix string) []string {
	var out []string
	for _, c := range charsOf(class) {
		out = append(out, string(c)+suffix)
	}
	return out
}

// Characters that end the part of an address that has the user, password and host, and a value in a connection string.
var (
	addressStops = stopsAt("/?#\"'<>\\|^`,;")
	valueStops   = stopsAt(";&\"'<>`\\")
)

// stopsAt makes a table of signs and of all that is not visible ASCII.
func stopsAt(signs string) (stops [256]bool) {
	for c := range stops {
		stops[c] = c <= ' ' || c >= 0x7f || strings.IndexByte(signs, byte(c)) >= 0
	}
	return stops
}

// maxAddress is how many bytes the user, password and host of an address may have.
const maxAddress = 512

// urlCredentials finds the password in an address whose :// has the anchor. There are many addresses, and few have one.
func urlCredentials(text []byte, at int) (start, end int, ok bool) {
	from := at + len("s://")
	rest := text[from:min(len(text), from+maxAddress)]
	sign := 0
	for i, c := range rest {
		if addressStops[c] {
			break
		}
		if c == '@' {
			sign = i
		}
	}
	if sign == 0 {
		return 0, 0, false
	}
	user, pass, both := bytes.Cut(rest[:sign], []byte(":"))
	host := hostOf(rest[sign+1:])
	start, end = from+len(user)+1, from+sign
	if !both || len(pass) == 0 || string(pass) == "x-oauth-basic" { // a token is the user
		start, end, user, pass = from, from+len(user), nil, user
		if len(pass) < 20 || isHex(string(pass)) || !scrambled(string(pass)) { // Sentry's public keys are hexadecimal
			return 0, 0, false
		}
	}
	example := (exampleHost(host) || isLocal(host)) && (!scrambled(string(pass)) || published(string(pass))) || len(user) == 0 && bytes.Contains(pass, []byte(":"))
	return start, end, !example && password(string(pass), string(user)) && !known(text, start)
}

func hostOf(rest []byte) string {
	end := 0
	for end < len(rest) && (isAlnum(rest[end]) || rest[end] == '.' || rest[end] == '-' || rest[end] == '_') {
		end++
	}
	return strings.ToLower(string(rest[:end]))
}

// exampleNames are hosts in manuals and tests.
var exampleNames = words(`host hostname server servername domain address ip fqdn db database proxy site foo bar baz a b c x y z my your some remote www somewhere where nowhere
	host1 host2 host3 server1 server2 domain1 myhost myserver mydomain yourhost yourserver yourdomain proxyhost proxyserver dbhost dbserver hostname1`)

func exampleHost(host string) bool {
	if host == "" || strings.Contains(host, "example") || strings.Contains(host, "placeholder") {
		return true
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	if last == "test" || last == "invalid" || last == "tld" {
		return true
	}
	first := labels[0]
	if len(labels) > 1 {
		first = labels[len(labels)-2]
	}
	return exampleNames()[first] && (len(labels) > 1 || first != "db" && first != "database" && first != "proxy")
}

func isLocal(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "0.0.0.0"
}

// connectionString finds the value of a password among others.
func connectionString(text []byte, at int) (start, end int, ok bool) {
	start = at + bytes.IndexByte(text[at:], '=') + 1
	for end = start; end < len(text) && end-start < 128 && !valueStops[text[end]]; end++ {
	}
	value := string(text[start:end])
	return start, end, len(value) >= 8 && password(value, "") && !harmlessValue(value) && !known(text, start)
}

// header reads what stands after the name of an Authorization header, in HTTP, programs and settings alike: the scheme and the
// place of its value.
func header(text []byte, at int) (scheme []byte, start, end int) {
	at += len("Authorization")
	for n := 0; n < 12 && at < len(text) && strings.IndexByte(" \t\"':=>,()[]\\", text[at]) >= 0; n++ {
		at++
	}
	from := at
	for at < len(text) && at-from < 12 && (isAlnum(text[at]) || text[at] == '-') {
		at++
	}
	scheme = text[from:at]
	if len(scheme) == 0 || at+1 >= len(text) || text[at] != ' ' {
		return nil, 0, 0
	}
	for start = at; start < len(text) && text[start] == ' '; start++ {
	}
	for end = start; end < len(text) && end-start < 4<<10 && (isAlnum(text[end]) || bytes.IndexByte([]byte("+/=._~-"), text[end]) >= 0); end++ {
	}
	return scheme, start, end
}

func basicHeader(text []byte, at int) (start, end int, ok bool) {
	scheme, start, end := header(text, at)
	if !bytes.EqualFold(scheme, []byte("Basic")) || end-start < 8 {
		return 0, 0, false
	}
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(text[start:end]), "="))
	user, pass, both := strings.Cut(string(plain), ":")
	if pass == "" || pass == "x-oauth-basic" {
		user, pass = "", user
	}
	return start, end, err == nil && both && password(pass, user)
}

// bearerSchemes are followed by a token.
var bearerSchemes = []string{"Bearer", "Token", "ApiKey", "Api-Key", "Api-Token", "sso-key"}

func bearerHeader(text []byte, at int) (start, end int, ok bool) {
	scheme, start, end := header(text, at)
	isBearer := slices.ContainsFunc(bearerSchemes, func(s string) bool { return bytes.EqualFold(scheme, []byte(s)) })
	if !isBearer || end-start < 20 || bytes.HasPrefix(text[start:end], []byte("eyJ")) { // a JWT has its own rule
		return 0, 0, false
	}
	value := string(text[start:end])
	return start, end, scrambled(value) && plausible(value) && !harmlessValue(value) && !known(text, start)
}

func sampleBasic(r *rand.Rand) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("deploy:"+like("{w20}")(r)))
}
