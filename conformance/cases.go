package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"
)

// testCase is one line of the table.
type testCase struct {
	group, name string
	run         func(*session) Outcome
}

func good(text string) Outcome { return Outcome{Good: true, Text: text} }

func bad(text string) Outcome {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return Outcome{Text: text}
}

// prints is a case in which a step prints what it sees.
func prints(steps, want string, secrets ...secret) func(*session) Outcome {
	return func(s *session) Outcome {
		b := s.build(steps, secrets, "--no-cache")
		switch got := b.result(); {
		case !b.ok:
			return bad("fails: " + b.failure())
		case got == want:
			return good("yes")
		default:
			return bad("no: " + got)
		}
	}
}

// sees is a case in which a step prints a digest of the value.
func sees(value []byte, steps string, env bool) func(*session) Outcome {
	return prints(steps, digest(value), secret{id: "s", value: value, env: env})
}

// refused is a case that has to fail.
func refused(steps string, secrets ...secret) func(*session) Outcome {
	return func(s *session) Outcome {
		if b := s.build(steps, secrets, "--no-cache"); !b.ok {
			return good("refused")
		}
		return bad("built")
	}
}

const (
	ofFile = `sha256sum </run/secrets/s | cut -c1-16`
	mount  = "RUN --mount=type=secret,id=s"
)

// every is a value with every byte in it, no part of which is in anything else.
func every() []byte {
	var b []byte
	for i := range 256 {
		b = append(append(b, byte(i)), canary()[6:12]...)
	}
	return b
}

// cases is the table.
var cases = sync.OnceValue(func() []testCase {
	return []testCase{
		{"delivery", "a file at target=", sees(canary(), mount+",target=/t echo RESULT=$(sha256sum </t | cut -c1-16)\n", false)},
		{"delivery", "a file at /run/secrets/ID", sees(canary(), mount+" echo RESULT=$("+ofFile+")\n", false)},
		{"delivery", "a variable, env=", sees(canary(), mount+",env=V echo RESULT=$(printf %s \"$V\" | sha256sum | cut -c1-16)\n", true)},
		{"delivery", "mode=0440", prints(mount+",mode=0440 echo RESULT=$(stat -L -c %a /run/secrets/s)\n", "440", secret{id: "s", value: canary()})},
		{"delivery", "0400 by default", prints(mount+" echo RESULT=$(stat -L -c %a /run/secrets/s)\n", "400", secret{id: "s", value: canary()})},
		{"delivery", "uid=1234,gid=5678", prints(mount+",uid=1234,gid=5678 echo RESULT=$(stat -L -c %u:%g /run/secrets/s)\n", "1234:5678", secret{id: "s", value: canary()})},
		{"delivery", "in a step of another USER", prints("USER 1234\n"+mount+",uid=1234 echo RESULT=$(test -s /run/secrets/s && id -u)\n", "1234", secret{id: "s", value: canary()})},
		{"delivery", "in a heredoc", sees(canary(), mount+" <<EOF\necho RESULT=$("+ofFile+")\nEOF\n", false)},
		{"delivery", "several at once", func(s *session) Outcome {
			one, two := canary(), canary()
			steps := "RUN --mount=type=secret,id=s --mount=type=secret,id=two cat /run/secrets/s /run/secrets/two | sha256sum | cut -c1-16 | sed s/^/RESULT=/\n"
			return prints(steps, digest(append(append([]byte{}, one...), two...)), secret{id: "s", value: one}, secret{id: "two", value: two})(s)
		}},
		{"values", "a newline at the end", sees(append(canary(), '\n'), mount+" echo RESULT=$("+ofFile+")\n", false)},
		{"values", "every byte", sees(every(), mount+" echo RESULT=$("+ofFile+")\n", false)},
		{"values", "500 KB", sees(bytes.Repeat(canary(), 500_000/32)[:499_000], mount+" echo RESULT=$("+ofFile+")\n", false)},
		{"missing", "optional: no file", prints(mount+" echo RESULT=$(test -e /run/secrets/s || echo absent)\n", "absent")},
		{"missing", "required=true", refused(mount + ",required=true true\n")},
		{"missing", "variable that is not set", refused(mount+",required=true true\n", secret{id: "s", env: true, unset: true})},
		{"missing", "empty value", refused(mount+",required=true true\n", secret{id: "s", env: true})},
		{"traces", "gone in the next RUN", prints(mount+" test -s /run/secrets/s\nRUN echo RESULT=$(test -e /run/secrets/s || echo gone)\n", "gone", secret{id: "s", value: canary()})},
		{"traces", "no /run/secrets in the image", saved("run/secrets/\x00")}, // as an archive names a folder
		{"traces", "not in the layers", saved("")},
		{"traces", "not in the history", notIn(func(b Builder) []string { return b.History }, "")},
		{"traces", "not in the log of a step that prints it", hidden},
		{"traces", "a step that copies it into the image", refused(mount+" cp /run/secrets/s /stolen\nRUN rm /stolen\n", secret{id: "s", value: canary()})},
		{"disk", "nothing after a build", leavesNothing},
		{"disk", "nothing after SIGINT", killed(syscall.SIGINT)},
		{"disk", "nothing after SIGTERM", killed(syscall.SIGTERM)},
		{"disk", "nothing after SIGKILL (and reap)", killed(syscall.SIGKILL)},
		{"cache", "a new value runs nothing again", cached},
		{"ssh", "an agent's socket", withSSH(prints("RUN --mount=type=ssh echo RESULT=$(test -S \"$SSH_AUTH_SOCK\" && echo socket)\n", "socket"))},
		{"ssh", "gone in the next RUN", withSSH(prints("RUN --mount=type=ssh true\nRUN echo RESULT=$(test -z \"$SSH_AUTH_SOCK\" && echo gone)\n", "gone"))},
	}
})

// withSSH gives a case's builds the run's key.
func withSSH(run func(*session) Outcome) func(*session) Outcome {
	return func(s *session) Outcome {
		s.flags = []string{"--ssh", "default=" + s.options.Key}
		return run(s)
	}
}

// saved looks for a text in the saved image, and for the value if there is no text.
func saved(text string) func(*session) Outcome {
	return notIn(func(b Builder) []string { return b.Save }, text)
}

// notIn looks into what a command writes about an image.
func notIn(command func(Builder) []string, text string) func(*session) Outcome {
	return func(s *session) Outcome {
		if command(s.builder) == nil {
			return good("–")
		}
		value := canary()
		b := s.build(mount+" test -s /run/secrets/s && echo x > /x\n", []secret{{id: "s", value: value}}, "--no-cache")
		if !b.ok {
			return bad("fails: " + b.failure())
		}
		out, err := s.onImage(command(s.builder))
		switch {
		case err != nil:
			return bad(err.Error())
		case text == "" && bytes.Contains(out, value), text != "" && bytes.Contains(out, []byte(text)):
			return bad("it is there")
		}
		return good("yes")
	}
}

// hidden is the log of a step that prints the value.
func hidden(s *session) Outcome {
	value := canary()
	b := s.build(mount+" cat /run/secrets/s; echo RESULT=done\n", []secret{{id: "s", value: value}}, "--no-cache")
	switch {
	case b.result() != "done":
		return bad("fails: " + b.failure())
	case strings.Contains(b.output, string(value)):
		return bad("shown")
	}
	return good("***")
}

func leavesNothing(s *session) Outcome {
	value := canary()
	b := s.build(mount+" test -s /run/secrets/s\n", []secret{{id: "s", value: value}}, "--no-cache")
	if !b.ok {
		return bad("fails: " + b.failure())
	}
	return s.noneOnDisk(value)
}

func (s *session) noneOnDisk(value []byte) Outcome {
	if found := s.onDisk(value); found != "" {
		return bad("left at " + found)
	}
	return good("yes")
}

// killed is a build that gets a signal while a step sleeps.
func killed(signal syscall.Signal) func(*session) Outcome {
	return func(s *session) Outcome {
		value := canary()
		steps := fmt.Sprintf("%s test -s /run/secrets/s && echo RESULT=now && sleep 20 # %d\n", mount, time.Now().UnixNano())
		if err := s.kill(steps, []secret{{id: "s", value: value}}, signal); err != nil {
			return bad("fails: " + err.Error())
		}
		return s.noneOnDisk(value)
	}
}

// cached builds twice, with another value the second time.
func cached(s *session) Outcome {
	steps := fmt.Sprintf("%s test -s /run/secrets/s && echo RESULT=ran # %d\n", mount, time.Now().UnixNano())
	first := s.build(steps, []secret{{id: "s", value: canary()}})
	if !first.ok || first.result() != "ran" {
		return bad("fails: " + first.failure())
	}
	second := s.build(steps, []secret{{id: "s", value: canary()}})
	switch {
	case !second.ok:
		return bad("fails: " + second.failure())
	case second.result() == "ran":
		return bad("runs again")
	}
	return good("yes")
}
