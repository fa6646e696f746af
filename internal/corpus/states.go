package corpus

// staged are files that the layer above does something to.
var staged = []struct{ name, text, status string }{
	{"build/.npmrc", "//npm.corp.internal/:_authToken=‹uuid›\n", Deleted},
	{"build/.npmrc.bak", "//npm.corp.internal/:_authToken=‹uuid›\n", Visible}, // .wh..npmrc is not about it
	{"build/id_ed25519", "‹ed25519›\n", Deleted},
	{"build/github.txt", "‹github›\n", Deleted},
	{"tmp/secrets/token.json", `{"password": "‹pass|json›"}` + "\n", Deleted},
	{"tmp/secrets/deep/down/.env", "DB_PASSWORD=‹human›\n", Deleted},
	{"tmp/secretsauce/.netrc", "machine git.corp.internal login ci password ‹pass›\n", Visible}, // nor is .wh.secrets
	{"var/cache/build/pip.conf", "[global]\nindex-url = https://ci:‹pass›@pypi.corp.internal/simple\n", Deleted},
	{"var/cache/build/deep/.pypirc", "[pypi]\nusername = ci\npassword = ‹human›\n", Deleted},
	{"var/cache/build/.netrc", "machine git.corp.internal login ci password ‹human›\n", Overwritten}, // in an opaque folder, but there again
	{"var/cache/buildx/.netrc", "machine git.corp.internal login ci password ‹pass›\n", Visible},
	{"app/prod.env", "DB_PASSWORD=‹human›\n", Overwritten},
	{"app/staging/settings.py", "PASSWORD = '‹human›'\n", Overwritten},
	{"app/staging/secrets.yml", "db:\n  password: ‹pass›\n", Overwritten},
	{"app/keys/service.json", `{"api_key": "‹alnum 32›"}` + "\n", Overwritten},
	{"srv/both/.netrc", "machine git.corp.internal login ci password ‹pass›\n", Visible}, // deleted on the second platform
}

func (b *builder) staging() []file {
	var out []file
	for _, s := range staged {
		out = append(out, b.file(layerStaging, s.status, s.name, s.text))
	}
	return out
}

// cleanup hides what is staged. See https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts.
func (b *builder) cleanup() []file {
	return []file{
		{name: "build/"}, {name: "build/.wh..npmrc"}, {name: "build/.wh.id_ed25519"}, {name: "build/.wh.github.txt"},
		{name: "tmp/"}, {name: "tmp/.wh.secrets"},
		{name: "var/cache/build/"}, {name: "var/cache/build/.wh..wh..opq"},
		b.file(layerCleanup, Visible, "var/cache/build/.netrc", "machine git.corp.internal login new password ‹pass›\n"),
		b.file(layerCleanup, Visible, "app/prod.env", "DB_PASSWORD=‹human›\n"),
		{name: "app/staging/settings.py", body: "import os\nPASSWORD = os.environ['PASSWORD']\n"},
		{name: "app/staging/secrets.yml", link: "/run/secrets/app.yml"},
		{name: "app/keys", body: "no folder any more\n"},
	}
}

// own is the layer that only one platform has.
func (b *builder) own(platform string) []file {
	plant := func(name, text string) file {
		at := Planted{ID: platform + "/" + name, Place: "file", Layer: layerOwn, Path: name, Status: Visible}
		if b.shape != Docker {
			at.Platform = platform
		}
		return file{name: name, body: b.expand(at, text)}
	}
	out := []file{plant("srv/own/.env", "PLATFORM="+platform+"\nDB_PASSWORD=‹human›\n")}
	if platform == "linux/arm64" {
		out = append(out, plant("srv/arm/token.txt", "‹github›\n"), file{name: "srv/both/"}, file{name: "srv/both/.wh..netrc"})
	}
	return out
}
