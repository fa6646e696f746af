package caller

import (
	"path"
	"slices"
	"strings"
)

// tool is a command that builds images.
type tool struct {
	call    []string // the program and its subcommands
	secrets bool     // it knows --secret id=X,env=Y
	podman  bool     // it looks for a Containerfile, too
	bake    bool     // its arguments are --set target.args.X=Y
	compose bool     // its file says what is built
	kaniko  bool     // it has its context and its Dockerfile in flags
}

// tools are in the order in which they are tried.
var tools = []tool{
	{call: words("docker buildx build"), secrets: true},
	{call: words("docker buildx b"), secrets: true},
	{call: words("docker buildx bake"), bake: true},
	{call: words("docker buildx f"), bake: true},
	{call: words("buildx build"), secrets: true},
	{call: words("buildx bake"), bake: true},
	{call: words("docker-buildx build"), secrets: true},
	{call: words("docker-buildx bake"), bake: true},
	{call: words("docker image build"), secrets: true},
	{call: words("docker builder build"), secrets: true},
	{call: words("docker compose build"), compose: true},
	{call: words("docker-compose build"), compose: true},
	{call: words("docker build"), secrets: true},
	{call: words("podman buildx build"), secrets: true, podman: true},
	{call: words("podman image build"), secrets: true, podman: true},
	{call: words("podman compose build"), compose: true},
	{call: words("podman-compose build"), compose: true},
	{call: words("podman build"), secrets: true, podman: true},
	{call: words("buildah build-using-dockerfile"), secrets: true, podman: true},
	{call: words("buildah build"), secrets: true, podman: true},
	{call: words("buildah bud"), secrets: true, podman: true},
	{call: words("nerdctl image build"), secrets: true},
	{call: words("nerdctl compose build"), compose: true},
	{call: words("nerdctl build"), secrets: true},
	{call: words("tightlip build"), secrets: true},
	{call: words("depot build"), secrets: true},
	{call: words("depot bake"), bake: true},
	{call: words("finch build"), secrets: true},
	{call: words("img build")},
	{call: words("executor"), kaniko: true},
	{call: words("kaniko"), kaniko: true},
}

func words(s string) []string { return strings.Fields(s) }

// wrappers are commands that run the one behind them.
var wrappers = map[string]bool{
	"sudo": true, "env": true, "time": true, "exec": true, "command": true, "nice": true, "nohup": true, "timeout": true, "retry": true, "doas": true, "op": true, "run": true,
	"chamber": true, "doppler": true, "aws-vault": true, "@docker": true, "dotenv": true, "then": true, "do": true, "!": true, "winpty": true,
}

// switches are the flags without a value.
var switches = map[string]bool{}

func init() {
	for _, f := range words(`no-cache pull push load quiet q squash rm force-rm compress debug D check disable-content-trust layers no-hosts all-platforms squash-all
		tls-verify stdin help skip-unused-stages omit-history inherit-labels pull-always pull-never ipfs identity-label no-rm print with-dependencies memory-less
		cache no-push cleanup single-snapshot reproducible skip-tls-verify insecure insecure-pull skip-tls-verify-pull force no-push-cache ignore-var-run
		compressed-caching skip-default-registry-fallback run-v2 use-new-run cache-copy-layers cache-run-layers no-console save lint project-cache
		parallel no-progress all-resources compatibility dry-run E H-none n k S`) {
		switches[f] = true
	}
}

// match tells how many words a tool's call takes, with the flags that stand between its words; 0 if it is another command.
func (t tool) match(s *scope, in []word) int {
	if s.program(in[0]) != t.call[0] {
		return 0
	}
	at := 1
	for _, want := range t.call[1:] {
		for at < len(in) && strings.HasPrefix(in[at].lead(), "-") {
			name, _, inline := in[at].cut("=")
			if at++; !inline && !switches[strings.TrimLeft(name, "-")] && at < len(in) && !is(in[at], want) {
				at++
			}
		}
		if at >= len(in) || !is(in[at], want) {
			return 0
		}
		at++
	}
	return at
}

func is(w word, text string) bool {
	got, ok := w.literal()
	return ok && got == text
}

// readCommand makes a build of a command if it is one.
func readCommand(d *document, s *scope, in []word) *found {
	drops := false
	for n := 0; len(in) > 0 && n < 12; n++ {
		for _, t := range tools {
			if at := t.match(s, in); at > 0 && (!t.kaniko || t.isKaniko(s, in)) {
				i := &invocation{document: d, scope: s, tool: t, found: d.add(in[0].start), drops: drops}
				i.read(in[at:])
				return i.found
			}
		}
		text, _ := in[0].literal()
		skip, drop := wrapper(in)
		if skip == 0 {
			return nil
		}
		drops = drops || drop || text == "sudo" && !keepsEnvironment(in)
		in = in[skip:]
	}
	return nil
}

// isKaniko looks at the flags: other programs are called executor, too.
func (t tool) isKaniko(s *scope, in []word) bool {
	text, _ := s.expand(in[0])
	return strings.Contains(text, "kaniko") || slices.ContainsFunc(in, func(w word) bool {
		return strings.HasPrefix(w.lead(), "--dockerfile") || strings.HasPrefix(w.lead(), "--destination")
	})
}

// wrapper tells how many words stand before the command that a command runs; 0 if it runs none.
func wrapper(in []word) (skip int, drops bool) {
	name, ok := in[0].literal()
	if !ok || !wrappers[path.Base(name)] {
		return 0, false
	}
	for skip = 1; skip < len(in); skip++ {
		text, ok := in[skip].literal()
		lead := in[skip].lead()
		switch {
		case name == "env" && (text == "-i" || text == "-" || text == "--ignore-environment"):
			drops = true
		case ok && strings.Trim(text, "0123456789smh") == "", strings.HasPrefix(lead, "-"), strings.Contains(lead, "=") && !strings.HasPrefix(lead, "="):
		default:
			return skip, drops
		}
	}
	return 0, drops
}

// keepsEnvironment tells whether sudo is told to keep the variables.
func keepsEnvironment(in []word) bool {
	for _, w := range in[1:] {
		text, _ := w.literal()
		if !strings.HasPrefix(text, "-") {
			return false
		}
		if text == "--preserve-env" || !strings.HasPrefix(text, "--") && strings.Contains(text, "E") {
			return true
		}
	}
	return false
}
