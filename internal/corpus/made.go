package corpus

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// made are files that other programs write. One that is missing here leaves its file away.
func (b *builder) made() []file {
	var out []file
	for _, m := range []struct {
		tool string
		make func() []file
	}{
		{"python3", b.bytecode}, {"python3", b.sqlite}, {"bzip2", b.bzip2}, {"git", b.looseObject}, {"git", b.pack}, {"gpg", b.gpg},
		{"openssl", b.pkcs12}, {"keytool", b.keystore},
	} {
		if _, err := exec.LookPath(m.tool); err == nil {
			out = append(out, m.make()...)
		}
	}
	return out
}

// run runs a program in the folder for that, with text on its standard input, and returns its standard output.
func (b *builder) run(input string, words ...string) string {
	program, err := exec.LookPath(words[0])
	if err != nil {
		b.fail(err)
		return ""
	}
	cmd := exec.Command(program, words[1:]...)
	cmd.Dir, cmd.Stdin = b.work, strings.NewReader(input)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.work, "GNUPGHOME=" + filepath.Join(b.work, "gnupg"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=CI", "GIT_AUTHOR_EMAIL=ci@corp.internal", "GIT_AUTHOR_DATE=2026-03-01T10:00:00Z",
		"GIT_COMMITTER_NAME=CI", "GIT_COMMITTER_EMAIL=ci@corp.internal", "GIT_COMMITTER_DATE=2026-03-01T10:00:00Z",
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.fail(fmt.Errorf("%s: %w: %s", words[0], err, stderr.String()))
	}
	return string(out)
}

// result is the file that a program wrote.
func (b *builder) result(name, as string) []file {
	body, err := os.ReadFile(filepath.Join(b.work, name))
	if err != nil {
		b.fail(err)
		return nil
	}
	return []file{{name: as, body: string(body)}}
}

func (b *builder) bytecode() []file {
	const name = "app/__pycache__/tokens.cpython-311.pyc"
	source := b.binary(name, "TOKEN = '‹github›'\n\ndef admin():\n    return connect('https://pypi.corp.internal', '‹pypi›')\n")
	const compile = `import py_compile, sys
open("tokens.py", "w").write(sys.argv[1])
py_compile.compile("tokens.py", "tokens.pyc", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)`
	b.run("", "python3", "-c", compile, source)
	return b.result("tokens.pyc", name)
}

func (b *builder) sqlite() []file {
	const name = "root/.config/gcloud/credentials.db"
	text := b.binary(name, `{"client_id": "7.apps.googleusercontent.com", "refresh_token": "1//0‹word 100›", "type": "authorized_user"}`)
	const fill = `import sqlite3, sys
db = sqlite3.connect("credentials.db")
db.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
db.execute("INSERT INTO credentials VALUES ('ci@corp.internal', ?)", (sys.stdin.read(),))
db.commit()`
	b.run(text, "python3", "-c", fill)
	return b.result("credentials.db", name)
}

func (b *builder) bzip2() []file {
	const name = "var/backups/old.env.bz2"
	return []file{{name: name, body: b.run(b.binary(name, "PORT=80\nDB_PASSWORD=‹human›\n"), "bzip2", "-c")}}
}

// repository commits a file with a secret and then one without it.
func (b *builder) repository(dir, text string) {
	script := `set -e
git init -q -b main "$1" && cd "$1" && cat > settings.yml && git add . && git commit -qm one
echo "password: from the vault" > settings.yml && git commit -qam two`
	b.run(text, "sh", "-c", script, "sh", dir)
}

func (b *builder) looseObject() []file {
	text, at := b.later("loose", "db:\n  password: ‹human›\n  token: ‹github›\n")
	b.repository("loose", text)
	files := b.tree("loose", "srv/loose")
	id := strings.TrimSpace(b.run("", "git", "-C", "loose", "rev-parse", "HEAD~1:settings.yml"))
	if len(id) < 3 {
		return nil
	}
	for _, i := range at {
		b.planted[i].Path = "srv/loose/.git/objects/" + id[:2] + "/" + id[2:]
	}
	return files
}

func (b *builder) pack() []file {
	text, at := b.later("pack", "db:\n  host: db.corp.internal\nslack: ‹slack-bot›\nregistry: https://ci:‹pass›@registry.corp.internal\n")
	b.repository("pack", text)
	b.run("", "git", "-C", "pack", "gc", "-q")
	files := b.tree("pack", "srv/pack")
	for _, f := range files {
		if strings.HasSuffix(f.name, ".pack") {
			for _, i := range at {
				b.planted[i].Path = f.name
			}
		}
	}
	return files
}

// later makes a text whose path is not known yet. It says which secrets are in it.
func (b *builder) later(name, text string) (out string, planted []int) {
	start := len(b.planted)
	out = b.binary(name, text)
	for i := range b.planted[start:] {
		planted = append(planted, start+i)
	}
	return out, planted
}

// tree takes a repository's .git folder.
func (b *builder) tree(dir, as string) []file {
	out := []file{}
	_ = filepath.WalkDir(filepath.Join(b.work, dir, ".git"), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.Contains(path, "/hooks/") || strings.HasSuffix(path, "/index") {
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			b.fail(err)
		}
		rel, _ := filepath.Rel(filepath.Join(b.work, dir), path)
		out = append(out, file{name: as + "/" + rel, body: string(body)})
		return nil
	})
	return out
}

// keyFile plants a file that is a private key.
func (b *builder) keyFile(name, format string, line int, body string) file {
	b.planted = append(b.planted, Planted{ID: name, Format: format, Place: "file", Layer: layerPacked, Path: name, Line: line,
		Status: Visible, Key: true, value: body, written: body})
	return file{name: name, body: body}
}

func (b *builder) gpg() []file {
	if err := os.MkdirAll(filepath.Join(b.work, "gnupg"), 0o700); err != nil {
		b.fail(err)
	}
	defer b.run("", "gpgconf", "--kill", "gpg-agent")
	quiet := []string{"gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}
	b.run("", append(quiet, "--quick-generate-key", "Release <release@corp.internal>", "ed25519", "sign", "never")...)
	return []file{
		b.keyFile("srv/keys/release.asc", "gpg", 1, b.run("", append(quiet, "--armor", "--export-secret-keys")...)),
		b.keyFile("srv/keys/release.gpg", "gpg-binary", 0, b.run("", append(quiet, "--export-secret-keys")...)),
	}
}

func (b *builder) pkcs12() []file {
	script := `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=corp -keyout key.pem -out cert.pem 2>/dev/null
openssl pkcs12 -export -inkey key.pem -in cert.pem -passout pass: -out client.p12`
	return b.store(script, "client.p12", "srv/keys/client.p12", "pkcs12")
}

func (b *builder) keystore() []file {
	script := `keytool -genkeypair -alias app -keyalg EC -dname CN=corp -storetype JKS -storepass changeit -keypass changeit -keystore app.jks 2>/dev/null`
	return b.store(script, "app.jks", "srv/keys/app.jks", "jks")
}

// store makes a file with a key in it by a script.
func (b *builder) store(script, made, name, format string) []file {
	b.run("", "sh", "-ec", script)
	files := b.result(made, name)
	for i := range files {
		files[i] = b.keyFile(name, format, 0, files[i].body)
	}
	return files
}
