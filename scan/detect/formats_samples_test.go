package detect

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
)

// sample is a file and what has to be found in it.
type sample struct {
	format string
	path   string // "": it has to be known by a mark
	text   string
	want   []string // key=value, and " !rule" if that is not the format's
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// testKey makes a private key.
func testKey(t testing.TB) []byte {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func block(label string, headers map[string]string, body []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Headers: headers, Bytes: body}))
}

// opensshKey is the start of a key file with a cipher.
func opensshKey(cipher string) string {
	body := append([]byte("openssh-key-v1\x00"), 0, 0, 0, byte(len(cipher)))
	return block("OPENSSH PRIVATE KEY", nil, append(append(body, cipher...), bytes.Repeat([]byte("key"), 40)...))
}

// pgpKey is a packet of an EdDSA key, with what tells how it is encrypted.
func pgpKey(usage byte) []byte {
	body := []byte{4, 0x60, 0, 0, 0, 22, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1, 1, 7, 0x40}
	body = append(append(body, bytes.Repeat([]byte{0x5a}, 32)...), usage)
	body = append(body, bytes.Repeat([]byte{0x17}, 40)...)
	return append([]byte{0x94, byte(len(body))}, body...)
}

// jks is a key store with an entry of a kind.
func jks(kind uint32) string {
	var b bytes.Buffer
	b.WriteString(jksMagic)
	for _, n := range []uint32{2, 2, trustedEntry} {
		_ = binary.Write(&b, binary.BigEndian, n)
	}
	b.WriteString("\x00\x02ca\x00\x00\x01\x80\x00\x00\x00\x00\x00\x05X.509\x00\x00\x00\x03abc")
	_ = binary.Write(&b, binary.BigEndian, kind)
	b.WriteString("\x00\x03key\x00\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x10" + strings.Repeat("k", 16))
	return b.String()
}

// pfx is the start of a PKCS #12 file, and a bag in it.
func pfx(bag []byte) string {
	return "\x30\x82\x09\x00\x02\x01\x03\x30\x82\x08\xc0" + string(oidData) + "\xa0\x82\x08\xb1" + string(bag) + strings.Repeat("x", 90)
}

const someUUID = "1a0e76c4-" + "52d1-4f0b-" + "9c3e-7b1d5f2a8e60"

// jenkinsFile is a list of credentials with a password.
func jenkinsFile(password string) string {
	const kind = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl"
	return "<?xml version='1.1'?>\n<provider><" + kind + ">\n<username>ci</username><password>" + password + "</password></" + kind + "></provider>"
}

const puttyKey = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: %\nComment: me\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\nAAAAhunter2\n"

func samples(t testing.TB) []sample {
	key := testKey(t)
	plainPEM := block("PRIVATE KEY", nil, key)
	oneLine := strings.ReplaceAll(plainPEM, "\n", `\n`)
	awsKey := strings.Repeat("kEy/", 10)
	legacy := map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00112233445566778899AABBCCDDEEFF"}
	jwt := "eyJ" + "hbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl"
	hash := "$6$salt$" + strings.Repeat("aB3", 20)
	wgKey := strings.Repeat("aB3/", 10) + "xyz="
	list := []sample{
		// Keys.
		{"private-key", "", plainPEM, []string{"PRIVATE KEY=" + strings.TrimSpace(plainPEM)}},
		{"private-key", "", `{"key": "` + oneLine + `"}`, []string{"PRIVATE KEY=" + strings.TrimSuffix(oneLine, `\n`)}},
		{"private-key", "", opensshKey("none"), []string{"OPENSSH PRIVATE KEY=" + strings.TrimSpace(opensshKey("none")) + " !ssh-private-key"}},
		{"private-key", "", opensshKey("aes256-ctr"), []string{"OPENSSH PRIVATE KEY, encrypted=" + strings.TrimSpace(opensshKey("aes256-ctr")) + " !encrypted-private-key"}},
		{"private-key", "", block("RSA PRIVATE KEY", legacy, key), []string{"RSA PRIVATE KEY, encrypted=" + strings.TrimSpace(block("RSA PRIVATE KEY", legacy, key)) + " !encrypted-private-key"}},
		{"private-key", "", block("ENCRYPTED PRIVATE KEY", nil, key), []string{"ENCRYPTED PRIVATE KEY, encrypted=" + strings.TrimSpace(block("ENCRYPTED PRIVATE KEY", nil, key)) + " !encrypted-private-key"}},
		{"private-key", "", block("PGP PRIVATE KEY BLOCK", map[string]string{"Comment": "Generatedbysomethingelse"}, pgpKey(0)), []string{"PGP PRIVATE KEY BLOCK=" + strings.TrimSpace(block("PGP PRIVATE KEY BLOCK", map[string]string{"Comment": "Generatedbysomethingelse"}, pgpKey(0))) + " !pgp-private-key"}},
		{"private-key", "", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n", nil},
		{"private-key", "", `if strings.Contains(s, "-----BEGIN RSA PRIVATE KEY-----") { return parsePrivateKeyFromStringOrSomethingElse(s) }`, nil},
		{"private-key", "", strings.ReplaceAll(block("PUBLIC KEY", nil, key), "x", "x") + " PRIVATE KEY-----", nil},
		{"putty-private-key", "home/me/id.ppk", strings.Replace(puttyKey, "%", "none", 1), []string{"PuTTY=" + strings.Replace(puttyKey, "%", "none", 1)}},
		{"putty-private-key", "", strings.Replace(puttyKey, "%", "aes256-cbc", 1), []string{"PuTTY, encrypted=" + strings.Replace(puttyKey, "%", "aes256-cbc", 1) + " !encrypted-private-key"}},
		{"putty-private-key", "", "PuTTY-User-Key-File-2 is the format of PuTTY", nil},
		{"gnupg-private-key", "root/.gnupg/secring.gpg", string(pgpKey(0)), []string{"PGP=" + string(pgpKey(0))}},
		{"gnupg-private-key", "root/.gnupg/secring.gpg", string(pgpKey(254)), []string{"PGP, encrypted=" + string(pgpKey(254)) + " !encrypted-private-key"}},
		{"gnupg-private-key", "usr/share/keyrings/debian-archive-keyring.gpg", "\x98" + string(pgpKey(0)[1:]), nil},
		{"gnupg-agent-key", "root/.gnupg/private-keys-v1.d/ab12.key", "Created: 20240101T000000\nKey: (private-key (ecc (curve Ed25519)(d #00#)))\n", []string{"GnuPG=Created: 20240101T000000\nKey: (private-key (ecc (curve Ed25519)(d #00#)))\n"}},
		{"gnupg-agent-key", "", "(21:protected-private-key(3:ecc", []string{"GnuPG, encrypted=(21:protected-private-key(3:ecc !encrypted-private-key"}},
		{"gnupg-agent-key", "root/.gnupg/private-keys-v1.d/ab12.key", "(20:shadowed-private-key(3:ecc", nil},
		{"pkcs12-key", "", pfx(oidShroudedBag), []string{"=" + pfx(oidShroudedBag)}},
		{"pkcs12-key", "etc/ssl/trust.p12", pfx(oidData), nil},
		{"java-keystore", "", jks(1), []string{"=" + jks(1)}},
		{"java-keystore", "etc/ssl/certs/java/cacerts.jks", jks(trustedEntry), nil},
		{"keepass-database", "", keepassMagic + strings.Repeat("\x01x", 40), []string{"=" + keepassMagic + strings.Repeat("\x01x", 40)}},
		{"keepass-database", "a.kdbx", keepassMagic, nil},

		// Packages.
		{"netrc", "root/.netrc", "# me\nmachine git.corp.example\n  login ci\n  password hunter2\nmacdef init\ncd /pub\npassword no\n\nmachine b login x password s3cr3tly", []string{"machine.git.corp.example.password=hunter2", "machine.b.password=s3cr3tly"}},
		{"netrc-lines", "", `RUN printf "machine git.corp.example\nlogin ci\npassword Corp-7Kestrel\n" > /root/.netrc`, []string{"machine.git.corp.example.password=Corp-7Kestrel"}},
		{"netrc", "root/.netrc", "machine git.corp.example login ci password ${TOKEN}", nil},
		{"netrc-lines", "", "In a netrc, machine git.example.com login me password mine is a line.", nil},
		{"netrc-lines", "", "A machine is a thing. Every machine has a login and a password written on it.", nil},
		{"npmrc", "root/.npmrc", "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=hunter2\n_auth=" + b64("ci:hunter2"), []string{"//npm.corp.example/:_authToken=hunter2", "_auth=" + b64("ci:hunter2")}},
		{"npmrc", "app/.npmrc", "//npm.corp.example/:_password=" + b64("hunter2") + "\nregistry=https://ci:hunter2@npm.corp.example/", []string{"//npm.corp.example/:_password=" + b64("hunter2"), "https://npm.corp.example=hunter2"}},
		{"npmrc", "", `/bin/sh -c echo "//npm.corp.example/:_authToken=hunter2" > .npmrc && npm ci`, []string{"//npm.corp.example/:_authToken=hunter2"}},
		{"npmrc", "root/.npmrc", "//npm.corp.example/:_authToken=${NPM_TOKEN}\n_auth=" + b64("ci:") + "\n; _authToken=hunter2", nil},
		{"yarnrc", "app/.yarnrc.yml", "npmScopes:\n  corp:\n    npmAuthToken: \"hunter2\"\n    npmAuthIdent: ci:s3cr3tly\n", []string{"npmScopes.corp.npmAuthToken=hunter2", "npmScopes.corp.npmAuthIdent=s3cr3tly"}},
		{"yarnrc", "app/.yarnrc.yml", "npmAuthToken: \"${NPM_TOKEN}\"\n", nil},
		{"yarnrc-classic", "app/.yarnrc", "\"//npm.corp.example/:_authToken\" \"hunter2\"\n", []string{"//npm.corp.example/:_authToken=hunter2"}},
		{"yarnrc-classic", "app/.yarnrc", "registry \"https://npm.corp.example\"\nalways-auth true\n", nil},
		{"bunfig", "app/bunfig.toml", "[install.scopes]\n\"@corp\" = { token = \"hunter2\", url = \"https://npm.corp.example\" }\n", []string{"install.scopes.@corp.token=hunter2"}},
		{"bunfig", "app/bunfig.toml", "[install]\nregistry = \"https://ci:hunter2@npm.corp.example\"\n", []string{"https://npm.corp.example=hunter2"}},
		{"bunfig", "app/bunfig.toml", "[install.scopes]\n\"@corp\" = { token = \"$NPM_TOKEN\" }\n", nil},
		{"pypirc", "root/.pypirc", "[corp]\nrepository: https://pypi.corp.example\nusername: ci\npassword: hunter2\n", []string{"corp.password=hunter2"}},
		{"pypirc", "root/.pypirc", "[corp]\nusername: ci\npassword: changeme\n", nil},
		{"pip-conf", "etc/pip.conf", "[global]\nextra-index-url =\n    https://ci:hunter2@pypi.corp.example/simple\n", []string{"https://pypi.corp.example=hunter2"}},
		{"pip-conf", "app/requirements-dev.txt", "--index-url https://ci:${PIP_PASSWORD}@pypi.corp.example/simple\n", nil},
		{"uv", "app/uv.toml", "[[index]]\nname = \"corp\"\nurl = \"https://ci:hunter2@pypi.corp.example/simple\"\n", []string{"https://pypi.corp.example=hunter2"}},
		{"uv", "root/.local/share/uv/credentials/credentials.toml", "[[credential]]\nservice = \"https://pypi.corp.example\"\npassword = 'hunter2'\n", []string{"credential..password=hunter2"}},
		{"uv", "app/uv.toml", "[[index]]\nurl = \"https://pypi.corp.example/simple\"\n", nil},
		{"poetry-auth", "root/.config/pypoetry/auth.toml", "[http-basic.corp]\nusername = \"ci\"\npassword = \"hunter2\"\n[pypi-token]\ncorp = \"s3cr3tly\"\n", []string{"http-basic.corp.password=hunter2", "pypi-token.corp=s3cr3tly"}},
		{"poetry-auth", "root/.config/pypoetry/auth.toml", "[http-basic.corp]\nusername = \"ci\"\n", nil},
		{"condarc", "root/.condarc", "channels:\n  - https://conda.corp.example/t/co-hunter2/main\n", []string{"conda.corp.example=co-hunter2"}},
		{"condarc", "root/.condarc", "channels:\n  - https://conda.corp.example/t/<TOKEN>/main\n  - https://conda.corp.example/t/\n", nil},
		{"maven-settings", "root/.m2/settings.xml", "<settings><servers><server><id>corp</id><password>hunter2</password></server></servers></settings>", []string{"settings.servers.server.password=hunter2"}},
		{"maven-settings", "", "<settings xmlns=\"x\">\n<servers>\n<server><password>{COQLCE6DU6GtcS5P=}</password></server></servers></settings>", []string{"settings.servers.server.password={COQLCE6DU6GtcS5P=} !maven-encrypted-password"}},
		{"maven-settings", "root/.m2/settings.xml", "<settings><servers><server><password>${env.MAVEN_PASSWORD}</password></server></servers></settings>", nil},
		{"maven-settings", "app/settings.xml", "<preferences><password>hunter2</password></preferences>", nil},
		{"maven-master-password", "root/.m2/settings-security.xml", "<settingsSecurity><master>{COQLCE6DU6GtcS5P=}</master></settingsSecurity>", []string{"settingsSecurity.master={COQLCE6DU6GtcS5P=}"}},
		{"maven-master-password", "root/.m2/settings-security.xml", "<settingsSecurity><relocation>/x</relocation></settingsSecurity>", nil},
		{"gradle-properties", "root/.gradle/gradle.properties", "org.gradle.jvmargs=-Xmx2g\ncorpPassword=hunter2\nsigning.password=s3cr3tly\n", []string{"corpPassword=hunter2", "signing.password=s3cr3tly"}},
		{"gradle-properties", "app/gradle.properties", "corpPassword=${CORP_PASSWORD}\nkotlin.code.style=official\n", nil},
		{"sbt-credentials", "root/.sbt/.credentials", "realm=Corp\nhost=maven.corp.example\nuser=ci\npassword=hunter2\n", []string{"password=hunter2"}},
		{"sbt-credentials", "root/.sbt/.credentials", "user=ci\npassword=\n", nil},
		{"nuget-config", "app/NuGet.Config", `<configuration><packageSourceCredentials><Corp><add key="Username" value="ci"/><add value="hunter2" key="ClearTextPassword"/></Corp></packageSourceCredentials></configuration>`, []string{"configuration.packageSourceCredentials.Corp.add[ClearTextPassword]=hunter2"}},
		{"nuget-config", "", `<configuration><packageSourceCredentials><Corp><add key="Password" value="AQAAANCMnd8BFdERjHoAwE"/></Corp></packageSourceCredentials></configuration>`, []string{"configuration.packageSourceCredentials.Corp.add[Password]=AQAAANCMnd8BFdERjHoAwE !nuget-encrypted-password"}},
		{"nuget-config", "app/nuget.config", `<configuration><packageSourceCredentials><Corp><add key="ClearTextPassword" value="%NUGET_PASSWORD%"/></Corp></packageSourceCredentials></configuration>`, nil},
		{"cargo-credentials", "usr/local/cargo/credentials.toml", "[registries.corp]\ntoken = \"hunter2\"\n[registry]\ntoken = 's3cr3tly'", []string{"registries.corp.token=hunter2", "registry.token=s3cr3tly"}},
		{"cargo-credentials", "app/.cargo/config.toml", "[registries.corp]\nindex = \"https://cargo.corp.example/index\"\n", nil},
		{"gem-credentials", "root/.gem/credentials", "---\n:rubygems_api_key: hunter2\n", []string{":rubygems_api_key=hunter2"}},
		{"gem-credentials", "root/.gem/credentials", "---\n:rubygems_api_key: <%= ENV['KEY'] %>\n", nil},
		{"bundler-config", "usr/local/bundle/config", "---\nBUNDLE_GEMS__CORP__EXAMPLE: \"ci:hunter2\"\nBUNDLE_BUILD__PG: \"--with-pg-config=/usr/bin/pg:x\"\n", []string{"BUNDLE_GEMS__CORP__EXAMPLE=hunter2"}},
		{"bundler-config", "app/.bundle/config", "---\nBUNDLE_PATH: \"vendor/bundle\"\nBUNDLE_WITHOUT: \"development:test\"\nBUNDLE_GEM__TEST: \"rspec\"\n", nil},
		{"composer-auth", "root/.composer/auth.json", `{"http-basic":{"php.corp.example":{"username":"ci","password":"hunter2"}},"github-oauth":{"git.corp.example":"s3cr3tly"},"gitlab-token":{"a.example":{"username":"gitlab-user","token":"correct-horse"}}}`, []string{"http-basic.php.corp.example.password=hunter2", "github-oauth.git.corp.example=s3cr3tly", "gitlab-token.a.example.token=correct-horse"}},
		{"composer-auth", "app/auth.json", `{"http-basic":{}, "status":"ok"}`, nil},
		{"composer-auth", "app/auth.json", `{"properties":{"config":{"properties":{"github-oauth":{"type":"object","description":"An object of domain name => github API oauth tokens"}}}}}`, nil},
		{"hex-config", "root/.hex/hex.config", "{'$write_key', <<\"hunter2\">>}.\n{<<\"auth_key\">>,<<\"s3cr3tly\">>}.\n", []string{"$write_key=hunter2", "auth_key=s3cr3tly"}},
		{"hex-config", "root/.hex/hex.config", "{'$repos',#{<<\"hexpm\">> => #{public_key => <<\"-----BEGIN PUBLIC KEY-----\\nMIIB\">>}}}.\n", nil},
		{"go-env", "root/.config/go/env", "GOPROXY=https://ci:hunter2@go.corp.example,direct\n", []string{"https://go.corp.example=hunter2"}},
		{"go-env", "root/.config/go/env", "GOPROXY=https://go.corp.example,direct\nGOPRIVATE=git.corp.example\n", nil},
		{"apt-auth", "etc/apt/auth.conf.d/corp.conf", "machine deb.corp.example/debian\nlogin ci\npassword hunter2\n", []string{"machine.deb.corp.example/debian.password=hunter2"}},
		{"apt-auth", "etc/apt/auth.conf.d/corp.conf", "# machine deb.corp.example login ci password hunter2\n", nil},
		{"apt-sources", "etc/apt/sources.list.d/corp.sources", "URIs: https://ci:hunter2@deb.corp.example/debian\n", []string{"https://deb.corp.example=hunter2"}},
		{"apt-sources", "etc/apt/sources.list", "deb https://deb.corp.example/debian stable main\n", nil},
		{"yum-repository", "etc/yum.repos.d/corp.repo", "[corp]\nbaseurl=https://ci:hunter2@rpm.corp.example/\nusername=ci\npassword=s3cr3tly\n", []string{"corp.password=s3cr3tly", "https://rpm.corp.example=hunter2"}},
		{"yum-repository", "etc/yum.repos.d/corp.repo", "[corp]\nbaseurl=https://rpm.corp.example/\ngpgcheck=1\n", nil},
		{"zypp-credentials", "etc/zypp/credentials.d/SCCcredentials", "username=SCC_1\npassword=hunter2\n", []string{"password=hunter2"}},
		{"zypp-credentials", "etc/zypp/credentials.d/corp", "username=SCC_1\n", nil},
		{"apk-repositories", "etc/apk/repositories", "https://ci:hunter2@apk.corp.example/v3.20/main\n", []string{"https://apk.corp.example=hunter2"}},
		{"apk-repositories", "etc/apk/repositories", "https://apk.corp.example/v3.20/main\n", nil},

		// Forges and services.
		{"git-credentials", "root/.git-credentials", "https://ci:hunter%402@git.corp.example\nhttps://" + strings.Repeat("t0ken", 5) + ":x-oauth-basic@git.corp.example\n", []string{"https://git.corp.example=hunter%402", "https://git.corp.example=" + strings.Repeat("t0ken", 5)}},
		{"git-credentials", "root/.git-credentials", "https://ci@git.corp.example\nhttps://ci:$PASSWORD@git.corp.example\n", nil},
		{"git-url-password", "app/.git/config", "[remote \"origin\"]\n\turl = https://ci:hunter2@git.corp.example/app\n[url \"https://ci:s3cr3tly@git.corp.example/\"]\n\tinsteadOf = https://git.corp.example/\n", []string{"https://git.corp.example=hunter2", "https://git.corp.example=s3cr3tly"}},
		{"git-url-password", "root/.gitconfig", "[url \"https://git.corp.example/\"]\n\tinsteadOf = git@git.corp.example:\n", nil},
		{"git-http-header", "app/.git/config", "[http \"https://ci:x@git.corp.example/\"]\n\textraheader = AUTHORIZATION: basic " + b64("x-access-token:hunter2") + "\n", []string{"http.https://git.corp.example/.extraheader=" + b64("x-access-token:hunter2")}},
		{"git-http-header", "root/.gitconfig", "[http]\n\textraheader = Authorization: Bearer hunter2\n", []string{"http.extraheader=hunter2"}},
		{"git-http-header", "root/.gitconfig", "[http]\n\textraheader = X-Team: builders\n", nil},
		{"github-cli", "root/.config/gh/hosts.yml", "git.corp.example:\n    user: ci\n    oauth_token: hunter2\n", []string{"git.corp.example.oauth_token=hunter2"}},
		{"github-cli", "root/.config/hub", "git.corp.example:\n- user: ci\n  oauth_token: s3cr3tly\n", []string{"git.corp.example..oauth_token=s3cr3tly"}},
		{"github-cli", "root/.config/gh/hosts.yml", "git.corp.example:\n    user: ci\n    git_protocol: https\n", nil},
		{"github-runner-key", "home/runner/.credentials_rsaparams", `{"d": "` + b64(awsKey) + `", "exponent": "AQAB", "modulus": "` + b64(awsKey) + `"}`, []string{"d=" + b64(awsKey)}},
		{"github-runner-key", "home/runner/.credentials_rsaparams", `{"exponent": "AQAB", "modulus": "` + b64(awsKey) + `"}`, nil},
		{"gitlab-cli", "root/.config/glab-cli/config.yml", "hosts:\n  git.corp.example:\n    token: hunter2\n    api_protocol: https\n", []string{"hosts.git.corp.example.token=hunter2"}},
		{"gitlab-cli", "root/.config/glab-cli/config.yml", "hosts:\n  git.corp.example:\n    token:\n    api_protocol: https\n", nil},
		{"circleci-cli", "root/.circleci/cli.yml", "host: https://ci.corp.example\ntoken: hunter2\n", []string{"token=hunter2"}},
		{"circleci-cli", "root/.circleci/cli.yml", "host: https://ci.corp.example\ntoken: \"\"\n", nil},
		{"travis-cli", "root/.travis/config.yml", "endpoints:\n  https://ci.corp.example/:\n    access_token: hunter2\n", []string{"endpoints.https://ci.corp.example/.access_token=hunter2"}},
		{"travis-cli", "root/.travis/config.yml", "last_check:\n  at: 1\n", nil},
		{"sentry-cli", "root/.sentryclirc", "[auth]\ntoken=hunter2\n[defaults]\nurl=https://sentry.corp.example\n", []string{"auth.token=hunter2"}},
		{"sentry-cli", "root/.sentryclirc", "[defaults]\norg=corp\n", nil},
		{"snyk-cli", "root/.config/configstore/snyk.json", `{"api": "hunter2", "org": "corp"}`, []string{"api=hunter2"}},
		{"snyk-cli", "root/.config/configstore/snyk.json", `{"org": "corp"}`, nil},
		{"vercel-cli", "root/.local/share/com.vercel.cli/auth.json", `{"// Note": "x", "token": "hunter2"}`, []string{"token=hunter2"}},
		{"vercel-cli", "root/.local/share/com.vercel.cli/auth.json", `{"// Note": "x"}`, nil},
		{"netlify-cli", "root/.config/netlify/config.json", `{"users": {"1": {"auth": {"token": "hunter2"}}}}`, []string{"users.1.auth.token=hunter2"}},
		{"netlify-cli", "root/.config/netlify/config.json", `{"telemetryDisabled": true, "users": {"1": {"auth": {}}}}`, nil},
		{"stripe-cli", "root/.config/stripe/config.toml", "[default]\ndevice_name = 'x'\ntest_mode_api_key = 'hunter2'\n", []string{"default.test_mode_api_key=hunter2"}},
		{"stripe-cli", "root/.config/stripe/config.toml", "[default]\ndevice_name = 'x'\n", nil},
		{"ngrok-config", "root/.config/ngrok/ngrok.yml", "version: 3\nagent:\n  authtoken: hunter2\n", []string{"agent.authtoken=hunter2"}},
		{"ngrok-config", "root/.ngrok2/ngrok.yml", "authtoken: <YOUR_TOKEN>\n", nil},
		{"pulumi-credentials", "root/.pulumi/credentials.json", `{"current":"https://p.corp.example","accessTokens":{"https://p.corp.example":"hunter2"}}`, []string{"accessTokens.https://p.corp.example=hunter2"}},
		{"pulumi-credentials", "root/.pulumi/credentials.json", `{"current":"file://~","accessTokens":{"file://~":""}}`, nil},
		{"flyctl-config", "root/.fly/config.yml", "access_token: hunter2\nauto_update: true\n", []string{"access_token=hunter2"}},
		{"flyctl-config", "root/.fly/config.yml", "auto_update: true\n", nil},
		{"databricks-config", "root/.databrickscfg", "[DEFAULT]\nhost = https://db.corp.example\ntoken = hunter2\n", []string{"DEFAULT.token=hunter2"}},
		{"databricks-config", "root/.databrickscfg", "[DEFAULT]\nhost = https://db.corp.example\n", nil},
		{"huggingface-token", "root/.cache/huggingface/token", "hunter2\n", []string{"=hunter2"}},
		{"huggingface-token", "root/.cache/huggingface/stored_tokens", "[ci]\nhf_token = hunter2\n", []string{"ci.hf_token=hunter2"}},
		{"huggingface-token", "root/.cache/huggingface/token", "\n", nil},
		{"kaggle-key", "root/.kaggle/kaggle.json", `{"username":"ci","key":"hunter2"}`, []string{"key=hunter2"}},
		{"kaggle-key", "root/.kaggle/kaggle.json", `{"username":"ci","key":""}`, nil},
		{"jupyter-config", "root/.jupyter/jupyter_server_config.json", `{"IdentityProvider": {"token": "hunter2", "hashed_password": "argon2:$argon2id$v=19$m=10240$abcdefgh"}}`, []string{"token=hunter2", "hashed_password=argon2:$argon2id$v=19$m=10240$abcdefgh !password-hash"}},
		{"jupyter-config", "root/.jupyter/jupyter_notebook_config.py", "c.NotebookApp.token = 'hunter2'\n", []string{"c.NotebookApp.token=hunter2"}},
		{"jupyter-config", "root/.jupyter/jupyter_notebook_config.py", "#c.NotebookApp.token = 'hunter2'\nc.NotebookApp.token = ''\nc.NotebookApp.password = os.environ['X']\n", nil},

		// Clouds.
		{"aws-credentials", "root/.aws/credentials", "[default]\naws_access_key_id = x\naws_secret_access_key = " + awsKey + "\n", []string{"default.aws_secret_access_key=" + awsKey}},
		{"aws-credentials", "", "[ci]\naws_session_token=hunter2\n", []string{"ci.aws_session_token=hunter2"}},
		{"aws-credentials", "", "def client(aws_secret_access_key=key): pass\n", nil},
		{"aws-credentials", "root/.aws/config", "[default]\nregion = eu-central-1\naws_secret_access_key = <secret>\n", nil},
		{"aws-cli-cache", "root/.aws/sso/cache/ab.json", `{"accessToken": "hunter2", "region": "x"}`, []string{"accessToken=hunter2"}},
		{"aws-cli-cache", "root/.aws/cli/cache/ab.json", `{"Credentials": {"AccessKeyId": "x", "Expiration": "2024"}}`, nil},
		{"boto-config", "root/.boto", "[Credentials]\ngs_access_key_id = x\ngs_secret_access_key = hunter2\n", []string{"Credentials.gs_secret_access_key=hunter2"}},
		{"boto-config", "root/.boto", "[Boto]\nhttps_validate_certificates = True\n", nil},
		{"s3cfg", "root/.s3cfg", "[default]\naccess_key = x\nsecret_key = hunter2\naccess_token = \n", []string{"default.secret_key=hunter2"}},
		{"s3cfg", "root/.s3cfg", "[default]\nsecret_key = \n", nil},
		{"gcp-service-account", "", `{"type": "service_account", "private_key_id": "ab", "private_key": "` + oneLine + `"}`, []string{"private_key=" + oneLine}},
		{"gcp-service-account", "", `{"type": "service_account", "private_key_id": "ab", "private_key": "<KEY>"}`, nil},
		{"gcp-user-credentials", "root/.config/gcloud/application_default_credentials.json", `{"client_id": "x", "client_secret": "hunter2", "refresh_token": "s3cr3tly", "type": "authorized_user"}`, []string{"client_secret=hunter2", "refresh_token=s3cr3tly"}},
		{"gcp-user-credentials", "", `{"type": "authorized_user", "client_id": "x"}`, nil},
		{"gcloud-database", "root/.config/gcloud/credentials.db", "SQLite format 3\x00\x10\x00\x01it's{\n  \"client_id\": \"x\",\n  \"refresh_token\": \"hunter2\"}\x00", []string{"refresh_token=hunter2"}},
		{"gcloud-database", "root/.config/gcloud/credentials.db", "SQLite format 3\x00CREATE TABLE \"credentials\"", nil},
		{"azure-cli", "root/.azure/msal_token_cache.json", `{"RefreshToken": {"a-b": {"secret": "hunter2", "client_id": "x"}}, "IdToken": {"a": {"secret": "` + jwt + `"}}}`, []string{"RefreshToken.a-b.secret=hunter2"}},
		{"azure-cli", "root/.azure/msal_token_cache.json", `{"Account": {"a": {"username": "ci"}}}`, nil},
		{"doctl-config", "root/.config/doctl/config.yaml", "access-token: hunter2\nauth-contexts:\n  team: s3cr3tly\ncontext: default\n", []string{"access-token=hunter2", "auth-contexts.team=s3cr3tly"}},
		{"doctl-config", "root/.config/doctl/config.yaml", "access-token: \"\"\ncontext: default\n", nil},
		{"openstack-clouds", "etc/openstack/clouds.yaml", "clouds:\n  corp:\n    auth:\n      username: ci\n      password: hunter2\n", []string{"clouds.corp.auth.password=hunter2"}},
		{"openstack-clouds", "etc/openstack/clouds.yaml", "clouds:\n  corp:\n    auth:\n      username: ci\n", nil},
		{"cloudflared-tunnel", "root/.cloudflared/ab-cd.json", `{"AccountTag":"x","TunnelSecret":"aHVudGVyMg==","TunnelID":"y"}`, []string{"TunnelSecret=aHVudGVyMg=="}},
		{"cloudflared-tunnel", "root/.cloudflared/ab-cd.json", `{"AccountTag":"x","TunnelID":"y"}`, nil},
		{"rclone-config", "root/.config/rclone/rclone.conf", "[corp]\ntype = sftp\nuser = ci\npass = aZ0-obscured_9\ntoken = {\"access_token\":\"x\"}\n", []string{"corp.pass=aZ0-obscured_9", "corp.token={\"access_token\":\"x\"}"}},
		{"rclone-config", "root/.config/rclone/rclone.conf", "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabcdef\n", nil},

		// Platforms.
		{"docker-config", "root/.docker/config.json", `{"auths": {"registry.corp.example": {"auth": "` + b64("ci:hunter2") + `"}}}`, []string{"auths.registry.corp.example.auth=" + b64("ci:hunter2")}},
		{"docker-config", "root/.dockercfg", `{"https://registry.corp.example/v1/": {"auth": "` + b64("ci:hunter2") + `"}}`, []string{"https://registry.corp.example/v1/.auth=" + b64("ci:hunter2")}},
		{"docker-config", "", "\ufeff\n" + `{"auths":{"registry.corp.example":{"identitytoken":"hunter2"}}}`, []string{"auths.registry.corp.example.identitytoken=hunter2"}},
		{"docker-config", "", `var c = parse('{"auths":{"registry.corp.example":{"identitytoken":"hunter2"}}}')`, nil},
		{"docker-config", "root/.docker/config.json", `{"auths": {"a": {}, "b": {"auth": "` + b64("ci:") + `"}, "c": {"auth": "` + b64("user:password") + `"}}, "credsStore": "pass"}`, nil},
		{"kubeconfig", "root/.kube/config", "users:\n- name: ci\n  user:\n    token: hunter2\n    client-certificate-data: " + b64("certificate") + "\n    client-key-data: " + b64(plainPEM) + "\n", []string{"users..user.token=hunter2", "users..user.client-key-data=" + b64(plainPEM)}},
		{"kubeconfig", "", "current-context: corp\nusers:\n- name: ci\n  user:\n    tokenFile: /run/token\n", nil},
		{"kubernetes-secret", "", "kind: ConfigMap\ndata:\n  a: aHVudGVyMg==\n---\napiVersion: v1\nkind: Secret\ndata:\n  username: " + b64("hunter2") + "\n  password: " + b64("hunter2") + "\nstringData:\n  token: s3cr3tly\n", []string{"data.password=" + b64("hunter2"), "stringData.token=s3cr3tly"}},
		{"kubernetes-secret", "", `{"kind": "Secret", "data": {"password": "` + b64("hunter2") + `"}}`, []string{"data.password=" + b64("hunter2")}},
		{"kubernetes-secret", "", "kind: Secret\ndata:\n  password: {{ .Values.password | b64enc }}\n  other: " + b64("changeme") + "\n", nil},
		{"kubernetes-secret", "", "kind: SecretStore\ndata:\n  password: " + b64("hunter2") + "\n", nil},
		{"kubernetes-secret", "", "\x00\x01kind: Secret\nstringData:\n  token: s3cr3tly\n", nil},
		{"kubernetes-token", "var/run/secrets/kubernetes.io/serviceaccount/token", jwt, []string{"=" + jwt}},
		{"kubernetes-token", "var/run/secrets/kubernetes.io/serviceaccount/token", "none", nil},
		{"terraform-credentials", "root/.terraformrc", "credentials \"tf.corp.example\" {\n  token = \"hunter2\"\n}\n", []string{"token=hunter2"}},
		{"terraform-credentials", "root/.terraform.d/credentials.tfrc.json", `{"credentials": {"tf.corp.example": {"token": "hunter2"}}}`, []string{"token=hunter2"}},
		{"terraform-credentials", "root/.terraformrc", "plugin_cache_dir = \"/root/cache\"\n", nil},
		{"terraform-state", "app/terraform.tfstate", `{"version": 4, "resources": [{"type": "db", "instances": [{"attributes": {"name": "x", "password": "hunter2", "result": "aB3dE5fG7hI9", "url": "postgres://ci:s3cr3tly@db/x"}}]}]}`, []string{"resources..instances..attributes.password=hunter2", "resources..instances..attributes.result=aB3dE5fG7hI9", "resources..instances..attributes.url=s3cr3tly"}},
		{"terraform-state", "", `{"terraform_version": "1.9", "outputs": {"db_password": {"value": "hunter2", "type": "string"}}}`, []string{"outputs.db_password.value=hunter2"}},
		{"terraform-state", "", `{"terraform_version": "1.9", "resources": [{"instances": [{"attributes": {"password": null, "secret_arn": "arn:x", "id": "abc"}, "sensitive_attributes": [{"value": "password"}]}]}]}`, nil},
		{"terraform-variables", "app/prod.tfvars", "region = \"eu\"\ndb_password = \"hunter2\"\n", []string{"db_password=hunter2"}},
		{"consul-config", "etc/consul.d/consul.hcl", "encrypt = \"" + wgKey + "\"\nacl {\n  tokens {\n    agent = \"" + someUUID + "\"\n  }\n}\n", []string{"encrypt=" + wgKey, "agent=" + someUUID}},
		{"consul-config", "etc/consul.d/consul.json", `{"encrypt": "` + wgKey + `", "node_id": "` + someUUID + `"}`, []string{"encrypt=" + wgKey}},
		{"consul-config", "etc/consul.d/consul.hcl", "encrypt = \"$CONSUL_KEY\"\nencrypt_verify_incoming = true\nagent = \"dc1\"\nnode_id = \"" + someUUID + "\"\n", nil},
		{"terraform-variables", "app/prod.auto.tfvars", "password_length = \"20\"\nregion = \"eu\"\n# db_password = \"hunter2\"\n", nil},
		{"vault-token", "root/.vault-token", "hvs-hunter2\n", []string{"=hvs-hunter2"}},
		{"vault-token", "root/.vault-token", "", nil},
		{"ansible-password", "", "db1 ansible_host=10.0.0.1 ansible_password=hunter2\n", []string{"ansible_password=hunter2"}},
		{"ansible-password", "", "---\nansible_become_pass: s3cr3tly\n", []string{"ansible_become_pass=s3cr3tly"}},
		{"ansible-password", "", "ansible_become_pass: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3133\nansible_password: \"{{ vault_password }}\"\n", nil},
		{"ansible-password", "", "vars:\n  - name: ansible_password\n    description: ansible_password: the one to log in with\n", nil},
		{"ansible-vault-password", "ansible/.vault_pass", "hunter2\n", []string{"=hunter2"}},
		{"ansible-vault-password", "ansible/.vault_pass", "#!/bin/sh\npass show vault\n", nil},
		{"snowsql-config", "root/.snowsql/config", "[connections.corp]\nusername = ci\npassword = hunter2\n", []string{"connections.corp.password=hunter2"}},
		{"cloud-init", "", "#cloud-config\nchpasswd:\n  list: |\n    root:Corp-7Kestrel\n    app:RANDOM\n    ci:Corp-8Kestrel\n", []string{"chpasswd.list.root=Corp-7Kestrel", "chpasswd.list.ci=Corp-8Kestrel"}},
		{"cloud-init", "etc/cloud/cloud.cfg.d/99-users.cfg", "# ours\nusers:\n  - name: ops\n    plain_text_passwd: Corp-7Kestrel\nchpasswd:\n  users:\n    - {name: a, password: Corp-8Kestrel, type: text}\n", []string{"users..plain_text_passwd=Corp-7Kestrel", "chpasswd.users..password=Corp-8Kestrel"}},
		{"cloud-init", "", "#cloud-config\npassword: passw0rd\nchpasswd:\n  expire: False\n  list: [\"root:password1\", ubuntu:R]\nssh_pwauth: True\n", nil},
		{"cloud-init", "", "Start the file with\n#cloud-config\npassword: Corp-7Kestrel\n", nil},
		{"snowsql-config", "root/.snowsql/config", "[connections]\n#password = hunter2\n", nil},
		{"dbt-profiles", "root/.dbt/profiles.yml", "corp:\n  outputs:\n    prod:\n      type: postgres\n      password: hunter2\n", []string{"corp.outputs.prod.password=hunter2"}},
		{"dbt-profiles", "root/.dbt/profiles.yml", "corp:\n  outputs:\n    prod:\n      password: \"{{ env_var('DBT_PASSWORD') }}\"\n", nil},

		// Databases.
		{"pgpass", "root/.pgpass", "# me\ndb.corp.example:5432:*:ci:hun\\:ter2\n", []string{"db.corp.example.5=hun\\:ter2"}},
		{"pgpass", "root/.pgpass", "#db.corp.example:5432:*:ci:hunter2\n", nil},
		{"pg-service", "root/.pg_service.conf", "[corp]\nhost=db.corp.example\npassword=hunter2\n", []string{"corp.password=hunter2"}},
		{"pg-service", "root/.pg_service.conf", "[corp]\nhost=db.corp.example\n", nil},
		{"mysql-config", "root/.my.cnf", "[client]\nuser=ci\npassword=\"hunter2\"\n", []string{"client.password=hunter2"}},
		{"mysql-config", "etc/mysql/my.cnf", "[client]\nport=3306\n# password=hunter2\n", nil},
		{"redis-config", "etc/redis/redis.conf", "port 6379\n# requirepass foobared\nrequirepass hunter2\n", []string{"requirepass=hunter2"}},
		{"redis-config", "etc/redis/redis.conf", "port 6379\n# requirepass foobared\n", nil},
		{"spring-properties", "app/application-prod.properties", "spring.datasource.url=jdbc:x\nspring.datasource.password=hunter2\n", []string{"spring.datasource.password=hunter2"}},
		{"spring-properties", "", "spring.datasource.password=${DB_PASSWORD}\nspring.cloud.password={cipher}abcdef0123456789\nserver.ssl.key-store-password-file=/x\n", nil},
		{"spring-yaml", "app/application.yml", "spring:\n  datasource:\n    username: ci\n    password: 'hunter2'\n", []string{"spring.datasource.password=hunter2"}},
		{"spring-yaml", "app/application.yml", "spring:\n  datasource:\n    password: ${DB_PASSWORD}\n    url: jdbc:postgresql://db/x\n", nil},
		{"dotnet-settings", "app/appsettings.Production.json", `{"ConnectionStrings": {"Default": "Server=db;User Id=ci;Password=hunter2;Encrypt=True"}, "Jwt": {"Secret": "s3cr3tly"}}`, []string{"ConnectionStrings.Default=hunter2", "Jwt.Secret=s3cr3tly"}},
		{"dotnet-settings", "app/web.config", `<configuration><connectionStrings><add name="Db" connectionString="Server=db;User=ci;Password=hunter2"/></connectionStrings></configuration>`, []string{"configuration.connectionStrings.add@connectionString=hunter2"}},
		{"dotnet-settings", "app/web.config", `<configuration><connectionStrings><add name="Db" connectionString="Server=db;Trusted_Connection=True"/></connectionStrings></configuration>`, nil},
		{"rails-database", "app/config/database.yml", "default: &default\n  adapter: postgresql\nproduction:\n  <<: *default\n  password: hunter2\n", []string{"production.password=hunter2"}},
		{"rails-database", "app/config/database.yml", "production:\n  password: <%= ENV['DATABASE_PASSWORD'] %>\n  url: <%= ENV['X'] %>\n", nil},

		{"mounted-secret", "run/secrets/db", "hunter2\n", []string{"=hunter2"}},
		{"mounted-secret", "run/secrets/db", "\n", nil},
		{"erlang-cookie", "var/lib/rabbitmq/.erlang.cookie", "HUNTERTWO", []string{"=HUNTERTWO"}},
		{"erlang-cookie", "var/lib/rabbitmq/.erlang.cookie", "", nil},
		{"jenkins-master-key", "var/jenkins_home/secrets/master.key", strings.Repeat("0a1b2c3d", 32), []string{"=" + strings.Repeat("0a1b2c3d", 32)}},
		{"jenkins-master-key", "var/jenkins_home/secrets/master.key", "none", nil},
		{"ppp-secrets", "etc/ppp/chap-secrets", "# client server secret\ncorp * hunter2 *\n", []string{"secret=hunter2"}},
		{"ppp-secrets", "etc/ppp/chap-secrets", "# client server secret addresses\n", nil},
		{"redis-acl", "etc/redis/users.acl", "user app on >hunter2 ~app:* +@all\n", []string{"user=hunter2"}},
		{"redis-acl", "etc/redis/users.acl", "user default on nopass ~* +@all\n", nil},

		// The web.
		{"jenkins-credentials", "var/jenkins_home/credentials.xml", jenkinsFile("{AQAAABAAAAAw" + awsKey + "=}"), []string{"provider.com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl.password={AQAAABAAAAAw" + awsKey + "=} !jenkins-encrypted-credential"}},
		{"jenkins-credentials", "", jenkinsFile("hunter2"), []string{"provider.com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl.password=hunter2"}},
		{"jenkins-credentials", "var/jenkins_home/credentials.xml", jenkinsFile("${NEXUS_PASSWORD}"), nil},
		{"jenkins-credentials", "etc/app/credentials.xml", "<users><user><password>hunter2</password></user></users>", nil},
		{"openvpn-login", "etc/openvpn/auth.txt", "vpnuser\r\nhunter2\r\n", []string{"password=hunter2"}},
		{"openvpn-login", "etc/openvpn/client/login.txt", "vpnuser\nhunter2\nthird\n", nil},
		{"openvpn-login", "usr/share/doc/openvpn/readme.txt", "OpenVPN\nSee the manual page for what it does.\n", nil},
		{"snmp-user", "etc/snmp/snmpd.conf", "createUser monitor SHA-256 \"hunter2xy\" AES\ncreateUser -e 0x8000 b MD5 s3cr3tly DES\n", []string{"createUser=hunter2xy", "createUser=s3cr3tly"}},
		{"snmp-user", "etc/snmp/snmpd.conf", "# createUser monitor SHA \"hunter2xy\"\nrouser monitor priv\ncreateUser other SHA\n", nil},
		{"dotenv", "app/.env", "export DB_PASSWORD=\"hunter2\" # me\nAPP_KEY='base64:aHVudGVyMg'\nURL=postgres://ci:s3cr3tly@db/x\nNAME=corp\n", []string{"DB_PASSWORD=hunter2", "APP_KEY=base64:aHVudGVyMg", "URL=s3cr3tly"}},
		{"dotenv", "app/.env.production", "API_TOKEN=hunter2", []string{"API_TOKEN=hunter2"}},
		{"dotenv", "app/.env", "DB_PASSWORD=${DB_PASSWORD}\nTOKEN_TTL=3600\nSECRET_FILE=/run/secrets/x\nAPI_TOKEN=\nPASSWORD_PATH=x\nSSL_SECRET=./key.pem\n", nil},
		{"rails-master-key", "app/config/master.key", strings.Repeat("0a1b2c3d", 4), []string{"=" + strings.Repeat("0a1b2c3d", 4)}},
		{"rails-master-key", "app/config/master.key", "see the wiki", nil},
		{"rails-secrets", "app/config/secrets.yml", "production:\n  secret_key_base: hunter2hunter2\n", []string{"production.secret_key_base=hunter2hunter2"}},
		{"rails-secrets", "app/config/secrets.yml", "production:\n  secret_key_base: <%= ENV[\"SECRET_KEY_BASE\"] %>\n", nil},
		{"rails-secret-token", "app/config/initializers/secret_token.rb", "App::Application.config.secret_key_base = 'hunter2hunter2'\n", []string{"Application.config.secret_key_base=hunter2hunter2"}},
		{"rails-secret-token", "app/config/initializers/devise.rb", "  # config.secret_key = 'hunter2hunter2'\n  config.case_insensitive_keys = ['email']\n", nil},
		{"wordpress-config", "var/www/html/wp-config.php", "define( 'DB_PASSWORD', 'hunter2' );\ndefine('AUTH_KEY', 's3cr3tly');\ndefine('DB_HOST', 'db');\n", []string{"DB_PASSWORD=hunter2", "AUTH_KEY=s3cr3tly"}},
		{"wordpress-config", "var/www/html/wp-config.php", "define('DB_PASSWORD', getenv('DB_PASSWORD'));\ndefine('DB_HOST', 'localhost');\n", nil},
		{"django-settings", "app/corp/settings.py", "SECRET_KEY = 'hunter2hunter2'\nDATABASES = {'default': {'NAME': 'x', 'PASSWORD': \"s3cr3tly\"}}\n", []string{"SECRET_KEY=hunter2hunter2", "PASSWORD=s3cr3tly"}},
		{"django-settings", "app/corp/settings.py", "SECRET_KEY = os.environ['SECRET_KEY']\nSECRET_KEY = config('SECRET_KEY')\nPASSWORD_HASHERS = ['a']\n", nil},
		{"drupal-settings", "var/www/html/sites/default/settings.php", "$databases['default']['default'] = [\n  'username' => 'ci',\n  'password' => 'hunter2',\n];\n$settings['hash_salt'] = 's3cr3tly';\n", []string{"password=hunter2", "hash_salt=s3cr3tly"}},
		{"drupal-settings", "var/www/html/sites/default/settings.php", " *   'password' => 'hunter2',\n'password' => getenv('DB_PASSWORD'),\n", nil},
		{"joomla-config", "var/www/html/configuration.php", "class JConfig {\n\tpublic $user = 'ci';\n\tpublic $password = 'hunter2';\n\tpublic $smtppass = '';\n}\n", []string{"$password=hunter2"}},
		{"joomla-config", "var/www/html/configuration.php", "class JConfig {\n\tpublic $password = '';\n}\n", nil},
		{"htpasswd", "etc/nginx/.htpasswd", "ci:$apr1$salt$" + strings.Repeat("aB3", 7) + "\n", []string{"ci.2=$apr1$salt$" + strings.Repeat("aB3", 7)}},
		{"htpasswd", "etc/nginx/.htpasswd", "# ci:$apr1$salt$abcdefghij\nci:\n", nil},

		// Machines.
		{"shadow", "etc/shadow", "root:" + hash + ":19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", []string{"root.2=" + hash}},
		{"shadow", "etc/shadow", "root:*:19000:0:99999:7:::\napp:!:19000::::::\ngames:!!:1::::::\nme::1::::::\nlock:!" + hash + ":1::::::\n", nil},
		{"shell-history", "root/.zsh_history", ": 1700000000:0;export API_TOKEN=hunter2\ncurl -u ci:s3cr3tly https://a.example\nmysql --password correct-horse db\ngit clone https://ci:hunter3@git.corp.example/x\n", []string{"API_TOKEN=hunter2", "u=s3cr3tly", "password=correct-horse", "https://git.corp.example=hunter3"}},
		{"shell-history", "root/.bash_history", "ls -la\nexport API_TOKEN=$(cat token)\npsql --no-password\ncurl -u ci https://a.example\n", nil},
		{"npm-log", "root/.npm/_logs/2024-01-01-debug-0.log", "0 verbose cli npm config set //npm.corp.example/:_authToken=hunter2\n1 http fetch GET 200 https://ci:s3cr3tly@npm.corp.example/x\n", []string{"//npm.corp.example/:_authToken=hunter2", "https://npm.corp.example=s3cr3tly"}},
		{"npm-log", "root/.npm/_logs/2024-01-01-debug-0.log", "0 verbose cli npm ci\n1 silly tokens 3\n", nil},
		{"filezilla-sites", "root/.config/filezilla/sitemanager.xml", `<FileZilla3><Servers><Server><User>ci</User><Pass encoding="base64">` + b64("hunter2") + `</Pass></Server></Servers></FileZilla3>`, []string{"FileZilla3.Servers.Server.Pass=" + b64("hunter2")}},
		{"filezilla-sites", "root/.config/filezilla/sitemanager.xml", `<FileZilla3><Servers><Server><Pass encoding="crypt" pubkey="x">` + b64("\x00\x01\x02\xff") + `</Pass></Server></Servers></FileZilla3>`, nil},
		{"sftp-config", "app/.vscode/sftp.json", "{\n  // me\n  \"host\": \"a.example\",\n  \"password\": \"hun\\\"ter2\",\n}", []string{"password=hun\\\"ter2"}},
		{"sftp-config", "app/.vscode/sftp.json", "{\"host\": \"a.example\", \"privateKeyPath\": \"~/.ssh/id\", \"savePassword\": true}", nil},
		{"lftp-config", "root/.lftprc", "open -u ci,hunter2 ftp.corp.example\n", []string{"u=hunter2"}},
		{"lftp-config", "root/.local/share/lftp/bookmarks", "corp\tftp://ci:hunter2@ftp.corp.example/\n", []string{"ftp://ftp.corp.example=hunter2"}},
		{"lftp-config", "root/.lftprc", "set ftp:ssl-force true\n", nil},
		{"mail-client", "root/.msmtprc", "account corp\nhost mail.corp.example\nuser ci\npassword hunter2\n", []string{"password=hunter2"}},
		{"mail-client", "etc/ssmtp/ssmtp.conf", "AuthUser=ci\nAuthPass=hunter2\n", []string{"AuthPass=hunter2"}},
		{"mail-client", "root/.msmtprc", "passwordeval pass show mail\n", nil},
		{"mutt-config", "root/.muttrc", "set imap_user = \"ci\"\nset imap_pass = \"hunter2\"\n", []string{"imap_pass=hunter2"}},
		{"mutt-config", "root/.muttrc", "set imap_pass = `pass show mail`\nset smtp_pass = $my_pass\n", nil},
		{"postfix-passwords", "etc/postfix/sasl_passwd", "[mail.corp.example]:587 ci@corp.example:hunter2\n", []string{"[mail.corp.example]:587=hunter2"}},
		{"postfix-passwords", "etc/postfix/sasl_passwd", "# [mail.corp.example]:587 ci:hunter2\n", nil},
		{"davfs2-secrets", "etc/davfs2/secrets", "https://dav.corp.example/ ci hunter2\n", []string{"https://dav.corp.example/=hunter2"}},
		{"davfs2-secrets", "etc/davfs2/secrets", "# https://dav.corp.example/ ci hunter2\n/mnt ci\n", nil},
		{"cifs-credentials", "root/.smbcredentials", "username=ci\npassword=hunter2\n", []string{"password=hunter2"}},
		{"cifs-credentials", "root/.smbcredentials", "username=ci\n", nil},
		{"wgetrc", "root/.wgetrc", "http_user = ci\nhttp_password = hunter2\nheader = Authorization: Bearer s3cr3tly\n", []string{"http_password=hunter2", "header=s3cr3tly"}},
		{"wgetrc", "etc/wgetrc", "#http_password = hunter2\nheader = Accept-Language: en\n", nil},
		{"curlrc", "root/.curlrc", "user = \"ci:hunter2\"\nproxy-user ci:s3cr3tly\n", []string{"user=hunter2", "proxy-user=s3cr3tly"}},
		{"curlrc", "root/.curlrc", "silent\nuser-agent = \"me:1\"\nuser = ci\n", nil},
		{"wireguard-key", "etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = " + wgKey + "\n[Peer]\nPublicKey = " + wgKey + "\n", []string{"Interface.PrivateKey=" + wgKey}},
		{"wireguard-key", "", "[Interface]\nPrivateKey = <client private key>\n", nil},
		{"networkmanager-connection", "etc/NetworkManager/system-connections/corp.nmconnection", "[wifi-security]\nkey-mgmt=wpa-psk\npsk=hunter2hunter2\n", []string{"wifi-security.psk=hunter2hunter2"}},
		{"networkmanager-connection", "etc/NetworkManager/system-connections/corp", "[wifi-security]\nkey-mgmt=wpa-psk\npsk-flags=1\n", nil},
		{"wpa-supplicant", "etc/wpa_supplicant/wpa_supplicant.conf", "network={\n  ssid=\"corp\"\n  psk=\"hunter2hunter2\"\n}\n", []string{"psk=hunter2hunter2"}},
		{"wpa-supplicant", "etc/wpa_supplicant/wpa_supplicant.conf", "network={\n  ssid=\"corp\"\n  #psk=\"hunter2hunter2\"\n}\n", nil},
	}
	return list
}
