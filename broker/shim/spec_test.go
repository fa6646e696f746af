package shim

import (
	"reflect"
	"strings"
	"testing"
)

func TestArgs(t *testing.T) {
	s := Spec{
		Mounts: []Mount{
			{Kind: Secret, ID: "npm", Target: "/root/.npmrc", Env: "NPM", Mode: 0o4640, UID: 1000, GID: 1001, Required: true},
			{Kind: SSH, ID: "default", Target: "/run/buildkit/ssh_agent.0"},
			{Kind: Tmpfs, Target: "/t"},
			{Kind: Script, ID: "EOF", Text: "#!/bin/sh\n--required\n"},
		},
		User: "$WHO", Changed: []string{"a", "b"}, Command: []string{"/bin/sh", "-c", "--"},
	}
	want := "--secret npm --target /root/.npmrc --env NPM --mode 4640 --uid 1000 --gid 1001 --required " +
		"--ssh default --target /run/buildkit/ssh_agent.0 --tmpfs  --target /t --script EOF --text #!/bin/sh\n--required\n " +
		"--changed a --changed b --user $WHO -- /bin/sh -c --"
	args := s.Args()
	if got := strings.Join(args, " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, err := ParseArgs(args); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseArgsErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                        "there is no command",
		"--":                      "there is no command",
		"--secret":                "--secret has no value",
		"--secret a":              "there is no command",
		"--target a -- b":         "--target without a mount",
		"--required -- b":         "--required without a mount",
		"--secret a --odd b -- c": "unknown flag --odd",
		"a":                       "a has no value",
		"a b":                     "a without a mount",
	} {
		if _, err := ParseArgs(strings.Fields(args)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", args, err, want)
		}
	}
	for _, args := range []string{"--secret a --mode 9 -- b", "--secret a --uid x -- b", "--secret a --gid 1.5 -- b"} {
		if s, err := ParseArgs(strings.Fields(args)); err == nil {
			t.Errorf("%q: got %+v", args, s)
		}
	}
}

// FuzzArgs checks that what can be parsed is written so that it is parsed as the same.
func FuzzArgs(f *testing.F) {
	f.Add("--secret\x00npm\x00--target\x00/x\x00--mode\x000400\x00--required\x00--\x00sh")
	f.Add("--ssh\x00\x00--env\x00\x00--uid\x00-1\x00--user\x00a:b\x00--changed\x00\x00--\x00--")
	f.Add("--script\x00EOF\x00--text\x00--\x00--tmpfs\x00\x00--gid\x007\x00--\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseArgs(strings.Split(text, "\x00"))
		if err != nil {
			return
		}
		if got, err := ParseArgs(s.Args()); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	})
}
