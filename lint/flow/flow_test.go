package flow_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/lint/flow"
)

var kinds = map[flow.Kind]string{
	flow.Written: "written", flow.Stored: "stored", flow.Printed: "printed", flow.Traced: "traced", flow.InURL: "url", flow.Removed: "removed",
}

// run runs a script with a secret in $T, in /run/secrets/t and in /old of an earlier layer, and writes down what happens.
func run(t *testing.T, script string) string {
	t.Helper()
	r, err := flow.Run(flow.Script{
		Text: script, Dir: "/app",
		Env:     map[string]flow.Value{"T": {Text: "SECRET", From: flow.Origins{0}}, "PLAIN": {Text: "plain"}},
		Files:   map[string]flow.Origins{"/run/secrets/t": {1}, "/old": {2}},
		Outside: []string{"/run/secrets/t", "/cache"},
		StandIn: func(n int) string { return []string{"SECRET", "FILE", "OLD", "NET"}[n] },
		Fetched: func(int, string) int { return 3 },
	})
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	var out []string
	for _, e := range r.Events {
		if e.Kind == flow.Used {
			continue
		}
		s := fmt.Sprintf("%s%v", kinds[e.Kind], []int(e.From))
		if e.Path != "" {
			s += " " + e.Path
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestRun(t *testing.T) {
	for script, want := range map[string]string{
		// Variables and substitutions.
		`true $T`:                                         "",
		`echo $T`:                                         "printed[0]",
		`echo "${T}" > f`:                                 "written[0] /app/f",
		`X=$T; Y="a$X"; echo $Y >> /f`:                    "written[0] /f",
		`X=$(cat /run/secrets/t) && echo $X > f`:          "written[1] /app/f",
		`X=$(< /run/secrets/t); echo $X > f`:              "written[1] /app/f",
		"X=`cat /run/secrets/t`; echo $X":                 "printed[1]",
		`echo ${T:+set}`:                                  "",
		`echo ${#T}`:                                      "",
		`echo ${X:-$T}`:                                   "printed[0]",
		`test -n "${T:?missing}"`:                         "",
		`echo '$T'`:                                       "",
		`T=other; echo $T`:                                "",
		`unset T; echo $T`:                                "",
		`read X < /run/secrets/t; echo $X`:                "printed[1]",
		`. /run/secrets/t; echo $ANY > f`:                 "written[1] /app/f",
		`export $(cat /run/secrets/t | xargs); echo $ANY`: "printed[1]",
		`eval "$(cat /run/secrets/t)"; echo $ANY`:         "printed[1]",
		// Files.
		`cp /run/secrets/t /etc/`:                               "written[1] /etc/t",
		`cp /run/secrets/t ~/.npmrc`:                            "written[1] ~/.npmrc",
		`cp /run/secrets/t /root/.npmrc && rm ~/.npmrc`:         "",
		`install -m 600 /run/secrets/t .npmrc`:                  "written[1] /app/.npmrc",
		`ln -s /run/secrets/t .npmrc`:                           "",
		`cat /run/secrets/t | tee f >/dev/null`:                 "written[1] /app/f",
		`dd if=/run/secrets/t of=/f`:                            "written[1] /f",
		`base64 -d /run/secrets/t > f`:                          "written[1] /app/f",
		`sed -i "s/X/$T/" conf`:                                 "written[0] /app/conf",
		`sed "s/X/$T/" in > conf`:                               "written[0] /app/conf",
		`envsubst < in > conf`:                                  "written[0] /app/conf",
		"cat > f <<EOF\ntoken=$T\nEOF":                          "written[0] /app/f",
		"cat > f <<'EOF'\ntoken=$T\nEOF":                        "",
		`cat <<< "$T" > f`:                                      "written[0] /app/f",
		`cp /run/secrets/t f && mv f g`:                         "written[1] /app/g",
		`cp /run/secrets/t f; : > f`:                            "",
		`echo $T > /dev/null`:                                   "",
		`echo $T > /cache/x`:                                    "",
		`cd /x && echo $T > f`:                                  "written[0] /x/f",
		`(cd /x; echo $T > f); rm f`:                            "written[0] /x/f",
		`D=$(mktemp -d); echo $T > $D/f; use $D/f; rm -rf "$D"`: "",
		`echo $T > a; echo $T > b; rm -f a b`:                   "",
		`echo $T > a.x; rm *.x`:                                 "",
		`echo $T > /d/a; rm -rf /d`:                             "",
		`echo $T > f; if [ -f f ]; then rm f; fi`:               "",
		`echo $T > f && build || rm f`:                          "written[0] /app/f",
		`trap 'rm -f f' EXIT; echo $T > f`:                      "",
		`rm /old`:                                               "removed[2] /old",
		`cp /old /new`:                                          "written[2] /new",
		// Commands around commands.
		`sudo -u x cp /run/secrets/t f`:                   "written[1] /app/f",
		`sh -c 'echo $T > f'`:                             "written[0] /app/f",
		`sh -c "echo $T > f"`:                             "written[0] /app/f",
		`env A=b cp /run/secrets/t f`:                     "written[1] /app/f",
		`f() { echo "$1" > f; }; f $T`:                    "written[0] /app/f",
		`for i in $T; do echo $i; done`:                   "printed[0]",
		`while read l; do echo $l; done < /run/secrets/t`: "printed[1]",
		`if true; then echo $T; else echo no; fi`:         "printed[0]",
		`echo $T | docker login --password-stdin`:         "stored[0] ~/.docker/config.json",
		`{ echo $T; } | cat`:                              "printed[0]",
		`diff <(echo $T) f`:                               "",
		// What tools keep.
		`npm config set //r/:_authToken $T`:                                                "stored[0] ~/.npmrc",
		`npm config set //r/:_authToken $T && npm ci && npm config delete //r/:_authToken`: "",
		`npm config set fund false`:                                                        "",
		`git config --global url."https://$T@h/".insteadOf "https://h/"`:                   "stored[0] ~/.gitconfig",
		`git -c http.extraHeader="x: $T" clone https://h/a/b`:                              "",
		`git clone https://x:$T@h/a/b.git`:                                                 "stored[0] /app/b/.git/config",
		`git clone https://x:$T@h/a/b.git /src && rm -rf /src/.git`:                        "",
		`git clone https://h/$PLAIN/b.git`:                                                 "",
		`DOCKER_CONFIG=/dev/shm; echo $T | docker login --password-stdin`:                  "",
		`gcloud auth activate-service-account --key-file=/run/secrets/t`:                   "stored[1] ~/.config/gcloud/credentials.db",
		// The log.
		`env`:                                "printed[0]",
		`env | grep T`:                       "printed[0]",
		`printenv PLAIN`:                     "",
		`set -x; curl -H "a: $T" h`:          "traced[0]",
		`set -x; set +x; curl -H "a: $T" h`:  "",
		`set -ex; echo plain`:                "",
		`bash -xc 'curl $T'`:                 "traced[0]",
		`curl -v -H "a: $T" https://h`:       "printed[0]",
		`curl -sS -H "a: $T" https://h -o f`: "",
		// The network.
		`curl "https://h/x?token=$T"`:              "url[0]",
		`curl http://vault/v1/secret > f`:          "written[3] /app/f",
		`wget -qO ~/.npmrc http://h/secrets/npmrc`: "written[3] ~/.npmrc",
		`X=$(vault kv get -field=p a/b); use $X`:   "",
		`vault kv get a/b`:                         "printed[3]",
	} {
		if got := run(t, script); got != want {
			t.Errorf("%s\n got %q\nwant %q", script, got, want)
		}
	}
}

func TestAbs(t *testing.T) {
	for _, c := range [][3]string{
		{"/app", "x", "/app/x"}, {"/app", "../x", "/x"}, {"/app", "/root/.npmrc", "~/.npmrc"}, {"/root", ".npmrc", "~/.npmrc"},
		{"/", "/root/", "~"}, {"/app", "~/a/../b", "~/b"}, {"~", "x", "~/x"}, {"", "x", "x"},
	} {
		if got := flow.Abs(c[0], c[1]); got != c[2] {
			t.Errorf("Abs(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestSyntaxError(t *testing.T) {
	if _, err := flow.Run(flow.Script{Text: "if true; then"}); err == nil {
		t.Error("no error for half a statement")
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{`echo $T > f && rm f`, "cat <<EOF | sh\n$T\nEOF", `f() { f; }; f`, `sh -c "sh -c '$T'"`, `trap "trap x EXIT" EXIT`, `eval "eval $T"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		r, err := flow.Run(flow.Script{
			Text: script, Dir: "/app", Env: map[string]flow.Value{"T": {Text: "SECRET", From: flow.Origins{0}}},
			Files: map[string]flow.Origins{"/s": {0}}, StandIn: func(int) string { return "SECRET" }, Fetched: func(int, string) int { return 0 },
		})
		if err != nil {
			return
		}
		for _, e := range r.Events {
			if e.Start < 0 || e.End > len(script) || e.Start > e.End {
				t.Errorf("an event at %d to %d of %d bytes", e.Start, e.End, len(script))
			}
		}
	})
}

func ExampleRun() {
	r, err := flow.Run(flow.Script{
		Text:    "cp /run/secrets/npmrc ~/.npmrc && npm ci",
		Files:   map[string]flow.Origins{"/run/secrets/npmrc": {0}},
		StandIn: func(int) string { return "secret" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slices.Collect(maps.Keys(r.Files)))
	// Output: [~/.npmrc]
}
