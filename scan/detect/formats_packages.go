package detect

import (
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
)

// netrcEntry is a machine's entry in a netrc, up to the password. The machine's name has a dot.
var netrcEntry = lazy.Regexp(`^machine\s+\S+\.[^\s\\]+(?:(?:\s|\\n)+(?:account|login)\s+\S+)*(?:\s|\\n)+password\s+\S`)

// hasNetrcEntry tells the lines of a netrc from the many other texts with the word "machine" in them.
func hasNetrcEntry(text []byte) bool {
	const word = "machine "
	for at := indexFrom(text, 0, word); at < len(text); at = indexFrom(text, at+len(word), word) {
		if netrcEntry().Match(text[at:min(len(text), at+256)]) {
			return true
		}
	}
	return false
}

const netrcWhy = "Whoever has it can log in to the host: git, curl, pip, Go and many others use it as it is."

var (
	mavenSealedRule = Rule{
		ID: "maven-encrypted-password", Title: "encrypted Maven password", Severity: finding.Note,
		Why: "Whoever also finds settings-security.xml can decrypt it.",
		Fix: asFile("maven", "/root/.m2/settings.xml", "mvn -B package"),
	}
	nugetSealedRule = Rule{
		ID: "nuget-encrypted-password", Title: "encrypted NuGet password", Severity: finding.Low,
		Why: "It is encrypted for one user of one machine: of use to whoever has both.",
		Fix: asFile("nuget", "/root/.nuget/NuGet/NuGet.Config", "dotnet restore"),
	}
)

// packageFormats are the formats of package managers of languages and systems.
var packageFormats = []format{
	{
		rule: Rule{ID: "netrc", Title: "password in a netrc", Severity: finding.High, Why: netrcWhy,
			Fix: asFile("netrc", "/root/.netrc", "pip install -r requirements.txt")},
		paths:    []string{".netrc", "_netrc"},
		read:     readNetrc,
		settings: []setting{on("machine.*.password|default.password", plain)},
	},
	{
		rule: Rule{ID: "netrc-lines", Title: "password in lines for a netrc", Severity: finding.High, Why: netrcWhy,
			Fix: asFile("netrc", "/root/.netrc", "pip install -r requirements.txt")},
		marks:    []string{"machine "},
		looks:    hasNetrcEntry,
		read:     readNetrc,
		settings: []setting{on("!*example.com.*|!*example.org.*|!*example.net.*|machine.*.*.password", hardToGuess)},
	},
	{
		rule: Rule{ID: "npmrc", Title: "npm registry credential", Severity: finding.High,
			Why: "Whoever has it can read private packages, and often publish new versions of them.",
			Fix: asFile("npmrc", "/root/.npmrc", "npm ci")},
		paths: []string{".npmrc", "npmrc", "pnpm/rc", "pnpm/auth.ini"},
		marks: []string{":_authToken", ":_password", ":_auth="},
		read:  both(readINI, readURLs),
		settings: []setting{
			on("_authToken|*:_authToken|*://*", oneWord),
			on("_auth|*:_auth", basic),
			on("_password|*:_password", encoded),
		},
	},
	{
		rule: Rule{ID: "yarnrc", Title: "Yarn registry credential", Severity: finding.High,
			Why: "Whoever has it can read private packages, and often publish new versions of them.",
			Fix: asVariable("YARN_NPM_AUTH_TOKEN", "yarn install --immutable")},
		paths:    []string{".yarnrc.yml"},
		marks:    []string{"npmAuthToken", "npmAuthIdent"},
		read:     readYAML,
		settings: []setting{on("*npmAuthToken", oneWord), on("*npmAuthIdent", identity)},
	},
	{
		rule: Rule{ID: "yarnrc-classic", Title: "Yarn registry credential", Severity: finding.High,
			Why: "Whoever has it can read private packages, and often publish new versions of them.",
			Fix: asFile("yarnrc", "/root/.yarnrc", "yarn install --frozen-lockfile")},
		paths:    []string{".yarnrc"},
		read:     both(readDirectives, readURLs),
		settings: []setting{on("*_authToken|*_password|*://*", plain), on("*_auth", basic)},
	},
	{
		rule: Rule{ID: "bunfig", Title: "Bun registry credential", Severity: finding.High,
			Why: "Whoever has it can read private packages, and often publish new versions of them.",
			Fix: asFile("bunfig", "/root/.bunfig.toml", "bun install --frozen-lockfile")},
		paths:    []string{"bunfig.toml", ".bunfig.toml"},
		read:     both(readTOML, readURLs),
		settings: []setting{on("install.*token|install.*password", plain), on("https://*|http://*", plain)},
	},
	{
		rule: Rule{ID: "pypirc", Title: "credential for publishing Python packages", Severity: finding.High,
			Why: "Whoever has it can publish new versions of the packages.",
			Fix: asFile("pypirc", "/root/.pypirc", "twine upload dist/*")},
		paths:    []string{".pypirc"},
		read:     both(readINI, readURLs),
		settings: []setting{on("*.password|password|*://*", plain)},
	},
	{
		rule: Rule{ID: "pip-conf", Title: "password of a Python package index", Severity: finding.High,
			Why: "Whoever has it can read the private packages of the index.",
			Fix: asFile("pip", "/etc/pip.conf", "pip install -r requirements.txt")},
		paths: []string{"pip.conf", "pip.ini", "requirements*.txt", "constraints*.txt", "pipfile", "pipfile.lock", "pdm.toml", "hatch/config.toml"},
		read:  readURLs,
	},
	{
		rule: Rule{ID: "uv", Title: "credential of a Python package index", Severity: finding.High,
			Why: "Whoever has it can read the private packages of the index.",
			Fix: asVariable("UV_INDEX_CORP_PASSWORD", "uv sync --locked")},
		paths:    []string{"uv.toml", "uv/credentials/credentials.toml", "uv/credentials.toml"},
		read:     both(readTOML, readURLs),
		settings: []setting{on("*password|*token", plain), on("https://*|http://*", plain)},
	},
	{
		rule: Rule{ID: "poetry-auth", Title: "credential of a Python package index", Severity: finding.High,
			Why: "Whoever has it can read the private packages of the index, or publish new ones.",
			Fix: asVariable("POETRY_HTTP_BASIC_CORP_PASSWORD", "poetry install")},
		paths:    []string{"pypoetry/auth.toml", "pypoetry/config.toml"},
		read:     readTOML,
		settings: []setting{on("http-basic.*.password|pypi-token.*", plain)},
	},
	{
		rule: Rule{ID: "condarc", Title: "credential of a conda channel", Severity: finding.High,
			Why: "Whoever has it can read the private packages of the channel.",
			Fix: asFile("condarc", "/root/.condarc", "conda env create -f environment.yml")},
		paths: []string{".condarc", "condarc", "environment.yml", "environment.yaml"},
		read:  both(readChannels, readURLs),
	},
	{
		rule: Rule{ID: "maven-settings", Title: "password of a Maven server", Severity: finding.High,
			Why: "Whoever has it can read private artifacts, and often deploy new ones.",
			Fix: asFile("maven", "/root/.m2/settings.xml", "mvn -B package")},
		paths: []string{"settings.xml"},
		marks: []string{"<servers>"},
		looks: has("<settings"),
		read:  readXML,
		settings: []setting{
			on("settings.servers.server.password|*.server.passphrase|settings.proxies.proxy.password", plain),
			on("settings.servers.server.password|*.server.passphrase|settings.proxies.proxy.password", sealed).as(&mavenSealedRule),
			on("settings.servers.server.configuration.*|settings.profiles.profile.properties.*", named),
		},
	},
	{
		rule: Rule{ID: "maven-master-password", Title: "Maven master password", Severity: finding.Medium,
			Why: "It is encrypted with a key that everybody knows, and decrypts the passwords in settings.xml.",
			Fix: asFile("maven", "/root/.m2/settings.xml", "mvn -B package")},
		paths:    []string{"settings-security.xml"},
		marks:    []string{"<settingsSecurity"},
		read:     readXML,
		settings: []setting{on("settingsSecurity.master", sealed), on("settingsSecurity.master", plain)},
	},
	{
		rule: Rule{ID: "gradle-properties", Title: "credential in Gradle properties", Severity: finding.High,
			Why: "Whoever has it can read private artifacts, or publish and sign new ones.",
			Fix: asVariable("ORG_GRADLE_PROJECT_corpPassword", "./gradlew build")},
		paths:    []string{"gradle.properties"},
		read:     both(readINI, readURLs),
		settings: []setting{on("*password|*token|*secret|*apikey|*passphrase|*://*", plain)},
	},
	{
		rule: Rule{ID: "sbt-credentials", Title: "password of a Scala repository", Severity: finding.High,
			Why: "Whoever has it can read private artifacts, and often publish new ones.",
			Fix: asFile("sbt", "/root/.sbt/.credentials", "sbt compile")},
		paths:    []string{".credentials", ".sbt/credentials", "sbt/credentials", ".ivy2/.credentials", "coursier/credentials.properties"},
		read:     readINI,
		settings: []setting{on("password|*.password", plain)},
	},
	{
		rule: Rule{ID: "nuget-config", Title: "password of a NuGet source", Severity: finding.High,
			Why: "Whoever has it can read private packages, and often publish new ones.",
			Fix: asFile("nuget", "/root/.nuget/NuGet/NuGet.Config", "dotnet restore")},
		paths: []string{"nuget.config"},
		marks: []string{"<packageSourceCredentials"},
		read:  readXML,
		settings: []setting{
			on("*packageSourceCredentials.*add[ClearTextPassword]", plain),
			on("*packageSourceCredentials.*add[Password]|*apikeys.add[*]", plain).as(&nugetSealedRule),
		},
	},
	{
		rule: Rule{ID: "cargo-credentials", Title: "Cargo registry token", Severity: finding.High,
			Why: "Whoever has it can publish new versions of the crates, and read private ones.",
			Fix: asFile("cargo", "/usr/local/cargo/credentials.toml", "cargo build --release --locked")},
		paths:    []string{".cargo/credentials.toml", "cargo/credentials.toml", ".cargo/credentials", "cargo/credentials", ".cargo/config.toml", "cargo/config.toml"},
		read:     both(readTOML, readURLs),
		settings: []setting{on("registry.token|registries.*.token|registr*.secret-key", plain), on("https://*|http://*", plain)},
	},
	{
		rule: Rule{ID: "gem-credentials", Title: "RubyGems API key", Severity: finding.High,
			Why: "Whoever has it can publish new versions of the gems.",
			Fix: asVariable("GEM_HOST_API_KEY", "gem push app.gem")},
		paths: []string{".gem/credentials", "gem/credentials"},
		read:  readYAML,
	},
	{
		rule: Rule{ID: "bundler-config", Title: "credential of a gem server", Severity: finding.High,
			Why: "Whoever has it can read the private gems of the server.",
			Fix: asVariable("BUNDLE_GEMS__CORP__EXAMPLE", "bundle install")},
		paths:    []string{".bundle/config", "bundle/config", ".gemrc", "gemrc"},
		read:     readYAML,
		settings: []setting{on("!bundle_build__*|!bundle_local__*|!bundle_mirror__*|bundle_*__*", userOrToken), on("*", inURL)},
	},
	{
		rule: Rule{ID: "composer-auth", Title: "Composer credential", Severity: finding.High,
			Why: "Whoever has it can read private packages, or the repositories that the token is for.",
			Fix: asFile("composer", "/root/.composer/auth.json", "composer install --no-dev")},
		paths:    []string{"auth.json"},
		marks:    []string{`"http-basic"`, `"github-oauth"`, `"gitlab-token"`},
		looks:    looksLikeJSON,
		read:     readJSON,
		settings: []setting{on("!*.username|!*properties.*|*http-basic.*.password|*github-oauth.*|*gitlab-token.*|*gitlab-oauth.*|*bearer.*|*bitbucket-oauth.*.consumer-secret", plain)},
	},
	{
		rule: Rule{ID: "hex-config", Title: "Hex API or repository key", Severity: finding.High,
			Why: "Whoever has it can read private packages, or publish new versions.",
			Fix: asVariable("HEX_API_KEY", "mix deps.get")},
		paths:    []string{"hex.config"},
		read:     readCode,
		settings: []setting{on("*api_key|*auth_key|*write_key|*read_key|*auth_token|*access_token|*refresh_token", plain)},
	},
	{
		rule: Rule{ID: "go-env", Title: "password of a Go module proxy", Severity: finding.High,
			Why: "Whoever has it can read the private modules of the proxy.",
			Fix: asVariable("GOPROXY", "go mod download")},
		paths: []string{"go/env"},
		read:  readURLs,
	},
	{
		rule: Rule{ID: "apt-auth", Title: "password of a Debian repository", Severity: finding.High,
			Why: "Whoever has it can read the packages of the repository.",
			Fix: asFile("apt", "/etc/apt/auth.conf", "apt-get update && apt-get install -y …")},
		paths:    []string{"etc/apt/auth.conf", "etc/apt/auth.conf.d/*"},
		read:     readNetrc,
		settings: []setting{on("machine.*.password|default.password", plain)},
	},
	{
		rule: Rule{ID: "apt-sources", Title: "password of a Debian repository", Severity: finding.High,
			Why: "Whoever has it can read the packages of the repository.",
			Fix: asFile("apt", "/etc/apt/auth.conf", "apt-get update && apt-get install -y …")},
		paths: []string{"etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/apt/apt.conf", "etc/apt/apt.conf.d/*"},
		read:  readURLs,
	},
	{
		rule: Rule{ID: "yum-repository", Title: "password of an RPM repository", Severity: finding.High,
			Why: "Whoever has it can read the packages of the repository.",
			Fix: asFile("repo", "/etc/yum.repos.d/corp.repo", "dnf install -y …")},
		paths:    []string{"*.repo", "etc/yum.conf", "etc/dnf/dnf.conf"},
		read:     both(readINI, readURLs),
		settings: []setting{on("*.password|*.proxy_password|*://*", plain)},
	},
	{
		rule: Rule{ID: "zypp-credentials", Title: "password of a SUSE repository", Severity: finding.High,
			Why: "Whoever has it can read the packages of the repository.",
			Fix: asFile("scc", "/etc/zypp/credentials.d/SCCcredentials", "zypper --non-interactive install …")},
		paths:    []string{"zypp/credentials.d/*", "zypp/credentials.cat", ".zypp/credentials.cat"},
		read:     readINI,
		settings: []setting{on("password|*.password", plain)},
	},
	{
		rule: Rule{ID: "apk-repositories", Title: "password of an Alpine or Arch repository", Severity: finding.High,
			Why: "Whoever has it can read the packages of the repository.",
			Fix: asFile("apk", "/etc/apk/repositories", "apk add --no-cache …")},
		paths: []string{"etc/apk/repositories", "etc/pacman.conf", "etc/pacman.d/mirrorlist"},
		read:  readURLs,
	},
}
