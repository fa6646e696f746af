package detect

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func formatNamed(t *testing.T, id string) *format {
	t.Helper()
	for i := range formats {
		if formats[i].rule.ID == id {
			return &formats[i]
		}
	}
	t.Fatalf("there is no format %s", id)
	return nil
}

// show writes matches as samples have them.
func show(f *format, text []byte) (out []string) {
	f.find(text, func(m Match) bool {
		s := m.Key + "=" + string(text[m.Start:m.End])
		if m.Rule.ID != f.rule.ID {
			s += " !" + m.Rule.ID
		}
		out = append(out, s)
		return true
	})
	return out
}

func TestFormats(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.format+"/"+s.path, func(t *testing.T) {
			f, text := formatNamed(t, s.format), []byte(s.text)
			if s.path != "" && !slices.Contains(formatsFor(s.path), f) {
				t.Errorf("the path %s is none of it", s.path)
			}
			if s.path == "" && !slices.ContainsFunc(f.marks, func(m string) bool { return bytes.Contains(text, []byte(m)) }) {
				t.Errorf("without a path, %q has no mark of it", s.text)
			}
			if got := show(f, text); !slices.Equal(got, s.want) {
				t.Errorf("%q:\n got %q\nwant %q", s.text, got, s.want)
			}
		})
	}
}

func TestFormatsHaveSamples(t *testing.T) {
	found, nothing := map[string]bool{}, map[string]bool{}
	for _, s := range samples(t) {
		if s.want == nil {
			nothing[s.format] = true
		} else {
			found[s.format] = true
		}
	}
	for _, f := range formats {
		if !found[f.rule.ID] || !nothing[f.rule.ID] {
			t.Errorf("%s: a sample with a credential: %v, one without: %v", f.rule.ID, found[f.rule.ID], nothing[f.rule.ID])
		}
	}
}

func TestFormatRules(t *testing.T) {
	ids := map[string]Rule{}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, r := range formatRules() {
		if !kebab.MatchString(r.ID) || r.Title == "" || !r.Severity.AtLeast("note") || !strings.HasSuffix(r.Why, ".") || r.Fix == "" {
			t.Errorf("a text is missing, or the id is not in kebab case: %+v", r)
		}
		if other, ok := ids[r.ID]; ok && other != *r {
			t.Errorf("%s is the id of two rules", r.ID)
		}
		ids[r.ID] = *r
	}
	seen := map[string]bool{}
	for _, f := range formats {
		if seen[f.rule.ID] {
			t.Errorf("%s is the id of two formats", f.rule.ID)
		}
		seen[f.rule.ID] = true
		if len(f.paths)+len(f.marks) == 0 || f.read == nil {
			t.Errorf("%s is never found", f.rule.ID)
		}
		for _, m := range f.marks {
			if len(m) < 4 {
				t.Errorf("%s: the mark %q is under 4 bytes", f.rule.ID, m)
			}
		}
	}
}

// TestEveryPattern asks for a path that is like each pattern.
func TestEveryPattern(t *testing.T) {
	for i := range formats {
		f := &formats[i]
		for _, p := range f.paths {
			if p != strings.ToLower(p) {
				t.Errorf("%s: the pattern %q is never found, because paths are compared in lower case", f.rule.ID, p)
			}
			pattern, isOut := strings.CutPrefix(p, "!")
			path := "some/where/" + strings.ReplaceAll(pattern, "*", "any")
			if got := slices.Contains(formatsFor(path), f); got == isOut {
				t.Errorf("%s: pattern %s, path %s: found %v", f.rule.ID, p, path, got)
			}
		}
	}
}

func TestFormatsFor(t *testing.T) {
	for path, want := range map[string][]string{
		"":                                    nil,
		"usr/bin/env":                         nil,
		".npmrc":                              {"npmrc"},
		"root/.NPMRC":                         {"npmrc"},
		"my.npmrc":                            nil,
		"config.json":                         nil,
		"docker/config.json":                  nil,
		"x.docker/config.json":                nil,
		"root/.docker/config.json":            {"docker-config"},
		"app/.env.example":                    nil,
		"app/.env.local":                      {"dotenv"},
		"app/.envy":                           nil,
		"etc/apt/auth.conf.d/x":               {"apt-auth"},
		"etc/apt/auth.conf.d/x/y":             nil,
		"app/.git/modules/lib/config":         {"git-url-password", "git-http-header"},
		"app/config/credentials/staging.key":  {"rails-master-key"},
		"etc/ssl/private/staging.key":         nil,
		"usr/share/doc/requirements-docs.txt": {"pip-conf"},
	} {
		var got []string
		for _, f := range formatsFor(path) {
			got = append(got, f.rule.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a.b", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"*c", "abcd", false}, {"a*c", "ac", true}, {"a*a", "a", false},
		{"auths.*.auth", "auths.r.auth", true}, {"auths.*.auth", "auths.auth", false}, {"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("glob(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// TestPEMKeys is about texts with several keys.
func TestPEMKeys(t *testing.T) {
	text := []byte("# two\n" + block("PRIVATE KEY", nil, testKey(t)) + block("CERTIFICATE", nil, testKey(t)) + opensshKey("none") + "-----BEGIN PRIVATE KEY-----\n")
	var got []string
	pemKeys(text, func(m Match) bool {
		if s := string(text[m.Start:m.End]); !strings.HasPrefix(s, "-----BEGIN ") || !strings.HasSuffix(s, "KEY-----") {
			t.Errorf("%q is no block", s)
		}
		got = append(got, m.Rule.ID)
		return true
	})
	if want := []string{"private-key", "ssh-private-key"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestKeyFilesAreStrict shows files that start like keys to the readers of binary keys.
func TestKeyFilesAreStrict(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	readers := []reader{readPKCS12, readKeystore, readKeePass, readGnuPG, readAgentKey, readPuTTY, readPEM}
	starts := []string{"", "\x30\x82\x09\x00\x02\x01\x03", jksMagic, jceksMagic, "\x95", "\x94", "\xc5", "\xc7", "\x03\xd9\xa2\x9a"}
	for range 20000 {
		text := []byte(starts[random.IntN(len(starts))])
		for range 200 {
			text = append(text, byte(random.Uint32()))
		}
		for i, read := range readers {
			read(text, func(pair) bool {
				t.Errorf("reader %d takes %x", i, text)
				return false
			})
		}
	}
}

func BenchmarkFormatsFor(b *testing.B) {
	paths := []string{"usr/lib/python3.12/site-packages/pip/_internal/models/candidate.py", "etc/ssl/openssl.cnf", "app/node_modules/x/package.json", "root/.npmrc"}
	for i := range b.N {
		formatsFor(paths[i%len(paths)])
	}
}
