package translate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

func translated(t testing.TB, src string, o translate.Options) (*translate.Result, error) {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return translate.For(translate.Builder{}, f, o)
}

// short shows a translated file with each bootstrap as BOOT and each array as words.
func short(t testing.TB, r *translate.Result) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(string(r.Dockerfile)) {
		i := strings.Index(line, " [\"")
		var args []string
		if i < 0 || !strings.Contains(line[:i], "RUN") || json.Unmarshal([]byte(line[i:]), &args) != nil {
			out = append(out, line)
			continue
		}
		for i, a := range args {
			if strings.HasPrefix(a, "e() {") {
				args[i] = "BOOT"
			} else if strings.ContainsAny(a, " \n") {
				args[i] = fmt.Sprintf("%q", a)
			}
		}
		out = append(out, line[:i]+" "+strings.Join(args, " ")+"\n")
	}
	return strings.Join(out, "")
}

func TestClassic(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", "FROM a\n# comment\nRUN x \\\n  y\n", "FROM a\n# comment\nRUN x \\\n  y\n"},
		{
			"shell form", "FROM a\nRUN --mount=type=secret,id=npm npm ci\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret npm --target /run/secrets/npm --mode 0400 -- /bin/sh -c \"npm ci\"\n",
		},
		{
			"exec form", "FROM a\nRUN --mount=type=secret,id=npm,target=/x [\"npm\", \"a b\"]\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret npm --target /x --mode 0400 -- npm \"a b\"\n",
		},
		{
			"every option", "FROM a\nRUN --mount=type=secret,id=a,dst=/x/y,mode=0644,uid=5,gid=6,required=true --mount=type=secret,id=b,env=B,required x\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret a --target /x/y --mode 0644 --uid 5 --gid 6 --required --secret b --env B --required -- /bin/sh -c x\n",
		},
		{
			"default id", "FROM a\nRUN --mount=type=secret,target=/root/.npmrc x\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret .npmrc --target /root/.npmrc --mode 0400 -- /bin/sh -c x\n",
		},
		{
			"ssh", "FROM a\nRUN --mount=type=ssh --mount=type=ssh,id=two,target=/s,mode=0666 x\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --ssh default --target /run/buildkit/ssh_agent.0 --mode 0600 --ssh two --target /s --mode 0666 -- /bin/sh -c x\n",
		},
		{
			"tmpfs and cache", "FROM a\nRUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c x\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --tmpfs  --target /t -- /bin/sh -c x\n",
		},
		{"only a cache", "FROM a\nRUN --mount=type=cache,target=/c x\n", "FROM a\nRUN /bin/sh -c x\n"},
		{
			"continuation lines and comments", "FROM a\nRUN --mount=type=secret,id=n \\\n  # why\n  one && \\\n  two\nENV A=b\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- /bin/sh -c \"one &&   two\"\nENV A=b\n",
		},
		{
			"escape directive", "# escape=`\nFROM a\nRUN --mount=type=secret,id=n `\n  one \\n\n",
			"# escape=`\nFROM a\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- /bin/sh -c \"one \\\\n\"\n",
		},
		{
			"SHELL", "FROM a AS b\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nFROM b\nRUN --mount=type=secret,id=n x\n",
			"FROM a AS b\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nFROM b\nRUN /bin/bash -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- /bin/bash -o pipefail -c x\n",
		},
		{
			"SHELL that is no shell", "FROM a\nSHELL [\"python3\", \"-c\"]\nRUN --mount=type=secret,id=n x\n",
			"FROM a\nSHELL [\"python3\", \"-c\"]\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- python3 -c x\n",
		},
		{
			"USER", "FROM a\nUSER app:www\nRUN --mount=type=secret,id=n x\nRUN y\n",
			"FROM a\nUSER app:www\nUSER 0\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 --user app:www -- /bin/sh -c x\nUSER app:www\nRUN y\n",
		},
		{
			"USER root", "FROM a\nUSER root\nRUN --mount=type=secret,id=n x\n",
			"FROM a\nUSER root\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- /bin/sh -c x\n",
		},
		{"heredoc", "FROM a\nRUN <<EOF\none\ntwo\nEOF\n", "FROM a\nRUN /bin/sh -c \"one\\ntwo\\n\"\n"},
		{"heredoc with a command", "FROM a\nRUN cat <<EOF > /f\none\nEOF\n", "FROM a\nRUN /bin/sh -c \"cat <<EOF > /f\\none\\nEOF\"\n"},
		{
			"heredoc with a secret", "FROM a\nRUN --mount=type=secret,id=n <<EOF\none\nEOF\nRUN y\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 -- /bin/sh -c \"one\\n\"\nRUN y\n",
		},
		{
			"script", "FROM a\nRUN <<EOF\n#!/bin/x\nEOF\n",
			"FROM a\nRUN /bin/sh -c BOOT tightlip --script EOF --target /dev/pipes/EOF --text \"#!/bin/x\\n\" -- /bin/sh -c /dev/pipes/EOF\n",
		},
		{"document", "FROM a\nCOPY --chown=1:1 x <<EOF \\\n /y/\ndoc\nEOF\nRUN z\n", "FROM a\nCOPY --chown=1:1 x .tightlip-2/EOF \\\n /y/\nRUN z\n"},
		{"link", "FROM a\nCOPY --link --from=b x y\n", "FROM a\nCOPY --from=b x y\n"},
		{"link behind a name like it", "FROM a\nCOPY --from=my--linkx --link=true /f --link\n", "FROM a\nCOPY --from=my--linkx /f --link\n"},
		{"the server's variable, unused", "FROM a\nENV NO_PROXY=x\nRUN y\n", "FROM a\nENV NO_PROXY=x\nRUN y\n"},
		{
			"USER of variables", "ARG V=w\nFROM a AS b\nARG U=app\nARG V\nENV G=www\nUSER \"${U}:$G$V\"\nENV U=root\nFROM b\nRUN --mount=type=secret,id=n x\n",
			"ARG V=w\nFROM a AS b\nARG U=app\nARG V\nENV G=www\nUSER \"${U}:$G$V\"\nENV U=root\nFROM b\nUSER 0\n" +
				"RUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 --user app:wwww -- /bin/sh -c x\nUSER app:wwww\n",
		},
		{
			"ONBUILD of the image", "FROM a\nONBUILD RUN --mount=type=secret,id=n x\n",
			"FROM a\nONBUILD RUN --mount=type=secret,id=n x\n",
		},
		{
			"ONBUILD of a stage", "FROM a AS b\nUSER app\nONBUILD RUN --mount=type=secret,id=n x\nFROM b\n",
			"FROM a AS b\nUSER app\nONBUILD USER 0\nONBUILD RUN /bin/sh -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 --user app -- /bin/sh -c x\nONBUILD USER app\nFROM b\n",
		},
		{"no newline at the end", "FROM a\nRUN --mount=type=cache,target=/c x", "FROM a\nRUN /bin/sh -c x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := translated(t, tt.in, translate.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := short(t, r); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if lines := strings.Count(string(r.Dockerfile), "\n"); len(r.Lines) < lines {
				t.Errorf("%d lines have %d origins", lines, len(r.Lines))
			}
			again, err := translated(t, tt.in, translate.Options{})
			if err != nil || string(again.Dockerfile) != string(r.Dockerfile) {
				t.Error("the second translation is another one")
			}
		})
	}
}

func bound(source string) (string, error) { return "hash-of-" + source, nil }

func TestBind(t *testing.T) {
	r, err := translated(t, "FROM a\nRUN --mount=target=. --mount=type=bind,source=./x/../y,target=/z,rw x\n", translate.Options{Bind: bound})
	if err != nil {
		t.Fatal(err)
	}
	want := "FROM a\nRUN /bin/sh -c BOOT tightlip --bind  --target . --bind y --target /z --changed hash-of- --changed hash-of-y -- /bin/sh -c x\n"
	if got := short(t, r); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestClassicRefuses(t *testing.T) {
	for _, tt := range []struct {
		in   string
		o    translate.Options
		line int
		want string
	}{
		{in: "FROM scratch\nRUN --mount=type=secret,id=n [\"x\"]\n", line: 2, want: "nothing is in this image yet"},
		{in: "FROM a\nRUN --mount=type=bind,target=/x y\n", line: 2, want: "no such mount of type bind"},
		{in: "FROM a\nRUN --mount=type=bind,from=b,target=/x y\n", o: translate.Options{Bind: bound}, line: 2, want: "no such mount of type bind"},
		{in: "FROM a\nARG U\nUSER $U\nRUN --mount=type=secret,id=n y\n", line: 4, want: "the USER before it holds a variable"},
		{in: "FROM a\nENV NO_PROXY=x\nRUN --mount=type=secret,id=n y\n", o: translate.Options{Variable: "NO_PROXY"}, line: 2, want: "nothing else may use"},
		{in: "FROM a\nRUN --mount=type=secret,id=n y\nLABEL x=${NO_PROXY}\n", o: translate.Options{Variable: "NO_PROXY"}, line: 3, want: "nothing else may use"},
		{in: "FROM a\nARG NO_PROXY=x\nRUN --mount=type=secret,id=n y\n", o: translate.Options{Variable: "NO_PROXY"}, line: 2, want: "nothing else may use"},
		{in: "FROM a\nRUN --mount=type=secret,id=n y\n", o: translate.Options{Variable: "V", Base: baseOf(translate.Base{Env: []string{"V=x"}}).Base}, line: 1, want: "nothing else may use"},
		{in: "FROM a\nCOPY <<E /x\ny\nE\nCOPY . /all\n", line: 5, want: "copies all of the build context"},
		{in: "FROM a\nADD https://x.example/r.git#main /r\n", line: 2, want: "does not clone"},
		{in: "FROM a\nRUN --network=none y\n", line: 2, want: "--network=none"},
		{in: "FROM a\nARG N\nRUN --mount=type=secret,id=$N y\n", line: 3, want: "the variable $N"},
		{in: "FROM a\nCOPY --chmod=755 a b\n", line: 2, want: "COPY --chmod"},
		{in: "FROM a\nADD --checksum=sha256:" + strings.Repeat("a", 64) + " http://x/y b\n", line: 2, want: "ADD --checksum"},
		{in: "FROM a\nCOPY <<EOF /x\n$HOME\nEOF\n", line: 2, want: "variables"},
		{in: "FROM a\nCOPY <<EOF /x\nx\nEOF\n", o: translate.Options{NoFiles: true}, line: 2, want: "file of the build context"},
		{in: "FROM a\nRUN --mount=type=secret,id=n y\n", o: baseOf(translate.Base{Tools: tools("sh")}), line: 2, want: "nothing that could fetch"},
		{in: "FROM a\nRUN x\n", o: baseOf(translate.Base{OnBuild: []string{"RUN --mount=type=secret,id=n y"}}), line: 1, want: "has the trigger"},
	} {
		_, err := translated(t, tt.in, tt.o)
		e := (*translate.Error)(nil)
		if !errors.As(err, &e) || e.Line != tt.line || !strings.Contains(err.Error(), tt.want) || e.Hint() == "" {
			t.Errorf("%q: got %v, want line %d: %s", tt.in, err, tt.line, tt.want)
		}
	}
}

func tools(names ...string) func() ([]string, error) {
	return func() ([]string, error) { return names, nil }
}

func baseOf(b translate.Base) translate.Options {
	return translate.Options{Base: func(string, string) (translate.Base, error) { return b, nil }}
}

// TestBase wants images looked up by their names with the variables replaced, and what they say used.
func TestBase(t *testing.T) {
	var asked []string
	o := translate.Options{BuildArgs: map[string]string{"TAG": "2"}, Target: "b", Base: func(name, _ string) (translate.Base, error) {
		asked = append(asked, name)
		return translate.Base{User: "7", Shell: []string{"/bin/ash", "-c"}, Tools: tools("wget")}, nil
	}}
	r, err := translated(t, "ARG TAG=1\nARG NAME=app:${TAG}\nFROM ${NAME} AS b\nRUN --mount=type=secret,id=n x\nFROM never\n", o)
	if err != nil {
		t.Fatal(err)
	}
	want := "RUN /bin/ash -c BOOT tightlip --secret n --target /run/secrets/n --mode 0400 --user 7 -- /bin/ash -c x\nUSER 7\n"
	if got := short(t, r); !strings.Contains(got, "USER 0\n"+want) {
		t.Errorf("got:\n%s", got)
	}
	if !reflect.DeepEqual(asked, []string{"app:2"}) {
		t.Errorf("asked for %q", asked)
	}
	if want := []int{1, 2, 3, 4, 4, 4, 5, 6}; !reflect.DeepEqual(r.Lines, want) {
		t.Errorf("the lines come from %v, want %v", r.Lines, want)
	}
}

func TestUses(t *testing.T) {
	o := translate.Options{Changed: func(id string) (string, bool) { return "print-of-" + id, id == "b" }}
	r, err := translated(t, "FROM a\nRUN --mount=type=secret,id=a x\nRUN --mount=type=secret,id=b,required --mount=type=ssh --mount=type=cache,target=/c y\n", o)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.IDs(shim.Secret); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("secrets %q", got)
	}
	if got := r.Requires(shim.Secret); !reflect.DeepEqual(got, map[string]int{"b": 3}) {
		t.Errorf("required %v", got)
	}
	if !strings.Contains(short(t, r), "--changed print-of-b") || len(r.Notes) != 1 || r.Notes[0].Line != 3 {
		t.Errorf("got %s, %v", short(t, r), r.Notes)
	}
}

func FuzzClassic(f *testing.F) {
	f.Add("FROM a\nUSER x\nRUN --mount=type=secret,id=n,env=E <<EOF\n#!/x\nEOF\nCOPY --link <<-'X' /y\n\tdoc\nX\n")
	f.Add("FROM a AS b\nONBUILD RUN --mount=type=ssh x\nFROM b\nSHELL [\"p\"]\nRUN --mount=type=tmpfs,target=/t [\"q\"]\n")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := dockerfile.Parse("Dockerfile", []byte(src))
		if err != nil {
			return
		}
		r, err := translate.For(translate.Builder{}, file, translate.Options{})
		if err != nil {
			return
		}
		// What comes out parses, and has nothing left to translate.
		out, err := dockerfile.Parse("Dockerfile", r.Dockerfile)
		if err != nil {
			t.Fatalf("%v:\n%s", err, r.Dockerfile)
		}
		again, err := translate.For(translate.Builder{}, out, translate.Options{})
		if err == nil && string(again.Dockerfile) != string(r.Dockerfile) {
			t.Errorf("translated twice:\n%q\n%q", r.Dockerfile, again.Dockerfile)
		}
	})
}

// TestBuilderWithMounts translates only what a builder with mounts does not know.
func TestBuilderWithMounts(t *testing.T) {
	old, older := translate.Builder{Mounts: true, Heredocs: true}, translate.Builder{Mounts: true}
	const set = `FROM a\nRUN --mount=type=secret,id=n,target=/dev/tightlip-0,mode=0444 /bin/sh -c "N=; if [ -e /dev/tightlip-0 ]; then N=$(cat /dev/tightlip-0 && echo .) || exit 125; N=${N%.}; fi; export N; exec \"$@\"" sh `
	for _, tt := range []struct {
		name     string
		builder  translate.Builder
		in, want string
	}{
		{"file", older, "FROM a\nRUN --mount=type=secret,id=n x\nCOPY --link --chmod=1 a b\n", "FROM a\nRUN --mount=type=secret,id=n x\nCOPY --link --chmod=1 a b\n"},
		{"new", translate.Builder{Mounts: true, SecretEnv: true, Heredocs: true}, "FROM a\nRUN --mount=type=secret,id=n,env=N x\n", "FROM a\nRUN --mount=type=secret,id=n,env=N x\n"},
		{"env", old, "FROM a\nRUN --network=none --mount=type=secret,id=n,env=N \\\n x y\n", strings.Replace(set, "RUN", "RUN --network=none", 1) + "/bin/sh -c \"x y\"\\n"},
		{"env of an array", old, "FROM a\nRUN --mount=type=secret,id=n,env=N [\"x\"]\n", set + "x\\n"},
		{"env and a heredoc", old, "FROM a\nRUN --mount=type=secret,id=n,env=N <<E\nx y\nE\n", set + "/bin/sh -c \"x y\\\\n\"\\n"},
		{
			"env and file", old, "FROM a\nRUN --mount=type=secret,id=n,env=N,target=/t,uid=3,required x\n",
			strings.Replace(set, "mode=0444", "mode=0444,required=true --mount=type=secret,id=n,target=/t,mode=0400,uid=3,gid=0,required=true", 1) + "/bin/sh -c x\\n",
		},
		{"heredoc", older, "FROM a\nRUN --mount=type=cache,target=/c <<E\nx y\nE\n", "FROM a\\nRUN --mount=type=cache,target=/c /bin/sh -c \"x y\\\\n\"\\n"},
		{"heredoc that it knows", old, "FROM a\nRUN <<E\nx y\nE\n", "FROM a\nRUN <<E\nx y\nE\n"},
		{
			"script", older, "FROM a\nRUN <<E\n#!/x\nE\n",
			`FROM a\nRUN /bin/sh -c "mkdir -p /dev/pipes && printf %s \"$1\" >/dev/pipes/E && chmod 755 /dev/pipes/E || exit 125; shift; exec \"$@\"" sh "#!/x\\n" /bin/sh -c /dev/pipes/E` + "\\n",
		},
		{"document", translate.Builder{Mounts: true, Documents: "docs"}, "FROM a\nCOPY <<E /x\ny\nE\n", "FROM a\nCOPY --from=docs tightlip-2/E /x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := dockerfile.Parse("Dockerfile", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			r, err := translate.For(tt.builder, f, translate.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(strings.ReplaceAll(tt.want, `\\n`, "\x00"), `\n`, "\n")
			if got := short(t, r); got != strings.ReplaceAll(want, "\x00", `\n`) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestAgents: steps have the sockets of agents from a context, in place of the builder's own.
func TestAgents(t *testing.T) {
	const text = `FROM a
RUN --mount=type=ssh x
RUN --mount=type=ssh,id=other,target=/o,uid=7,mode=0666 --mount=type=ssh --mount=id=none,type=ssh ["y"]
RUN --mount=type=ssh,id=none z
`
	const want = `FROM a
RUN --mount=type=bind,from=agents,source=#1,target=/run/buildkit/ssh_agent.0 ["/bin/sh","-c","export SSH_AUTH_SOCK=\"${SSH_AUTH_SOCK-/run/buildkit/ssh_agent.0}\"; exec \"$@\"","sh","/bin/sh","-c","x"]
RUN --mount=type=bind,from=agents,source=#2,target=/o --mount=type=bind,from=agents,source=#1,target=/run/buildkit/ssh_agent.1 --mount=id=none,type=ssh ["/bin/sh","-c","export SSH_AUTH_SOCK=\"${SSH_AUTH_SOCK-/o}\"; exec \"$@\"","sh","y"]
RUN --mount=type=ssh,id=none z
`
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := translate.Builder{Mounts: true, SecretEnv: true, Heredocs: true}
	r, err := translate.For(b, f, translate.Options{Agents: "agents", HasAgent: func(id string) bool { return id != "none" }})
	if err != nil {
		t.Fatal(err)
	}
	got := string(r.Dockerfile)
	for name, s := range r.Sockets {
		switch s {
		case translate.Socket{ID: "default", Mode: 0o600}:
			got = strings.ReplaceAll(got, name, "#1")
		case translate.Socket{ID: "other", Mode: 0o666, UID: 7}:
			got = strings.ReplaceAll(got, name, "#2")
		default:
			t.Errorf("there is a socket %+v", s)
		}
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if text := r.AsWritten(r.Steps[0].New); text != "RUN --mount=type=ssh x" {
		t.Errorf("shown as %s", text)
	}
	f, _ = dockerfile.Parse("Dockerfile", []byte("FROM a\nARG ID\nRUN --mount=type=ssh,id=$ID x\n"))
	if _, err := translate.For(b, f, translate.Options{Agents: "agents", HasAgent: func(string) bool { return true }}); err == nil {
		t.Error("an id that is not known was taken")
	}
}

// TestTicketStaysInside wants nothing but the shim to use the ticket: the arguments of a program are everybody's to read.
func TestTicketStaysInside(t *testing.T) {
	r, err := translated(t, "FROM a\nRUN --mount=type=secret,id=n x\n", translate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(r.Dockerfile); !strings.Contains(text, "${n%%.*}") || strings.Contains(text, "${n#*.}") {
		t.Errorf("the bootstrap uses more of NO_PROXY than the port: %s", text)
	}
}
