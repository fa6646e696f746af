package flow

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// tool is a command that keeps what it is told.
type tool struct {
	words string // the command's first words, without options; a star stands for any word
	file  string // where it keeps it
	undo  bool   // it forgets that
	input bool   // what it reads is a secret, too
}

// tools are looked through in this order. The files are those that the tools' documentation names.
var tools = []tool{
	{words: "git config", file: "~/.gitconfig"},
	{words: "git remote", file: ".git/config"},
	{words: "git credential approve", file: "~/.git-credentials", input: true},
	{words: "git credential-store", file: "~/.git-credentials", input: true},
	{words: "npm config delete", file: "~/.npmrc", undo: true},
	{words: "npm config rm", file: "~/.npmrc", undo: true},
	{words: "npm config set", file: "~/.npmrc"},
	{words: "npm set", file: "~/.npmrc"},
	{words: "npm login", file: "~/.npmrc", input: true},
	{words: "npm adduser", file: "~/.npmrc", input: true},
	{words: "npm logout", file: "~/.npmrc", undo: true},
	{words: "pnpm config delete", file: "~/.npmrc", undo: true},
	{words: "pnpm config set", file: "~/.npmrc"},
	{words: "yarn config delete", file: "~/.yarnrc", undo: true},
	{words: "yarn config unset", file: "~/.yarnrc", undo: true},
	{words: "yarn config set", file: "~/.yarnrc"},
	{words: "pip config unset", file: "~/.config/pip/pip.conf", undo: true},
	{words: "pip config set", file: "~/.config/pip/pip.conf"},
	{words: "pip3 config unset", file: "~/.config/pip/pip.conf", undo: true},
	{words: "pip3 config set", file: "~/.config/pip/pip.conf"},
	{words: "python -m pip config set", file: "~/.config/pip/pip.conf"},
	{words: "python3 -m pip config set", file: "~/.config/pip/pip.conf"},
	{words: "uv auth login", file: "~/.local/share/uv/credentials/credentials.toml", input: true},
	{words: "poetry config", file: "~/.config/pypoetry/auth.toml"},
	{words: "pdm config", file: "~/.config/pdm/config.toml"},
	{words: "conda config", file: "~/.condarc"},
	{words: "bundle config unset", file: "~/.bundle/config", undo: true},
	{words: "bundle config", file: "~/.bundle/config"},
	{words: "bundler config", file: "~/.bundle/config"},
	{words: "gem sources", file: "~/.gemrc"},
	{words: "composer config", file: "~/.composer/auth.json"},
	{words: "composer global config", file: "~/.composer/auth.json"},
	{words: "cargo login", file: "~/.cargo/credentials.toml", input: true},
	{words: "cargo logout", file: "~/.cargo/credentials.toml", undo: true},
	{words: "go env", file: "~/.config/go/env"},
	{words: "dotnet nuget remove source", file: "~/.nuget/NuGet/NuGet.Config", undo: true},
	{words: "dotnet nuget add source", file: "~/.nuget/NuGet/NuGet.Config"},
	{words: "dotnet nuget update source", file: "~/.nuget/NuGet/NuGet.Config"},
	{words: "nuget sources", file: "~/.nuget/NuGet/NuGet.Config"},
	{words: "nuget setapikey", file: "~/.nuget/NuGet/NuGet.Config"},
	{words: "docker logout", file: "~/.docker/config.json", undo: true},
	{words: "docker login", file: "~/.docker/config.json", input: true},
	{words: "podman login", file: "~/.config/containers/auth.json", input: true},
	{words: "buildah login", file: "~/.config/containers/auth.json", input: true},
	{words: "skopeo login", file: "~/.config/containers/auth.json", input: true},
	{words: "crane auth login", file: "~/.docker/config.json", input: true},
	{words: "oras login", file: "~/.docker/config.json", input: true},
	{words: "helm registry login", file: "~/.config/helm/registry/config.json", input: true},
	{words: "helm repo add", file: "~/.config/helm/repositories.yaml"},
	{words: "aws configure", file: "~/.aws/credentials", input: true},
	{words: "gcloud auth revoke", file: "~/.config/gcloud", undo: true},
	{words: "gcloud auth", file: "~/.config/gcloud/credentials.db", input: true},
	{words: "az logout", file: "~/.azure", undo: true},
	{words: "az login", file: "~/.azure/service_principal_entries.json"},
	{words: "gh auth logout", file: "~/.config/gh", undo: true},
	{words: "gh auth login", file: "~/.config/gh/hosts.yml", input: true},
	{words: "glab auth login", file: "~/.config/glab-cli/config.yml", input: true},
	{words: "huggingface-cli login", file: "~/.cache/huggingface/token"},
	{words: "hf auth login", file: "~/.cache/huggingface/token"},
	{words: "vault login", file: "~/.vault-token", input: true},
	{words: "kubectl config", file: "~/.kube/config"},
	{words: "oc login", file: "~/.kube/config"},
	{words: "rclone config create", file: "~/.config/rclone/rclone.conf"},
	{words: "mc alias set", file: "~/.mc/config.json"},
	{words: "mc config host add", file: "~/.mc/config.json"},
	{words: "wrangler login", file: "~/.wrangler/config/default.toml"},
	{words: "jf config add", file: "~/.jfrog/jfrog-cli.conf"},
	{words: "jfrog config add", file: "~/.jfrog/jfrog-cli.conf"},
	{words: "conan remote login", file: "~/.conan2"},
	{words: "conan user", file: "~/.conan"},
	{words: "chpasswd", file: "/etc/shadow", input: true},
	{words: "passwd", file: "/etc/shadow", input: true},
	{words: "usermod", file: "/etc/shadow"},
	{words: "useradd", file: "/etc/shadow"},
	{words: "debconf-set-selections", file: "/var/cache/debconf/passwords.dat", input: true},
}

// tool runs a command that is none of a shell's.
func (r *runner) tool(c *call) Value {
	words := []string{c.name}
	dir := ""
	for i := 0; i < len(c.args); i++ {
		switch a := c.args[i].Text; {
		case c.name == "git" && a == "-C" && i+1 < len(c.args):
			i++
			dir = c.args[i].Text
		case c.name == "git" && a == "-c" && i+1 < len(c.args):
			i++ // for this command only
		case strings.HasPrefix(a, "-") && a != "-m" && !strings.HasPrefix(a, "--unset"):
		default:
			words = append(words, a)
		}
	}
	line := strings.Join(words, " ") + " "
	if strings.HasPrefix(c.name, "gpg") && strings.Contains(c.text(), " --import") {
		r.store(c, tool{words: "gpg --import", file: "~/.gnupg", input: true}, dir)
		return Value{}
	}
	if strings.HasPrefix(line, "git clone ") {
		r.clone(c)
		return Value{}
	}
	for _, t := range tools {
		if strings.HasPrefix(line, t.words+" ") {
			r.store(c, t, dir)
			return Value{}
		}
	}
	for _, f := range fetchers {
		if strings.HasPrefix(line, f+" ") && r.script.Fetched != nil {
			return r.standIns(Origins{r.script.Fetched(int(c.node.Pos().Offset()), f)})
		}
	}
	return Value{}
}

// fetchers are commands that print secrets: their first words, without options.
var fetchers = []string{
	"vault kv get", "vault read", "bao kv get", "bao read", "aws ssm get-parameter", "aws ssm get-parameters", "aws secretsmanager get-secret-value", "aws ecr get-login-password",
	"aws codeartifact get-authorization-token", "gcloud secrets versions access", "gcloud auth print-access-token", "gcloud auth print-identity-token", "az keyvault secret show",
	"az account get-access-token", "op read", "op item get", "doppler secrets get", "pass show", "bw get", "kubectl get secret", "gh auth token", "sops decrypt", "ansible-vault view",
	"infisical secrets get",
}

// store is what a tool keeps.
func (r *runner) store(c *call, t tool, dir string) {
	file := t.file
	if t.words == "git config" {
		options, _ := c.split("-f", "--file", "-C")
		file = gitConfig(options, dir)
		t.undo = has(options, "--unset", "--unset-all", "--remove-section")
	}
	if t.words == "git remote" {
		file = path.Join(dir, ".git/config")
		t.undo = !slices.ContainsFunc(c.args, func(a Value) bool { return len(a.From) > 0 }) && !strings.Contains(c.text(), " add ")
	}
	if t.words == "go env" && len(c.args) > 0 && c.args[0].Text != "-w" {
		return
	}
	if t.undo {
		r.remove(file, c.node)
		return
	}
	var v Value
	for _, a := range c.args {
		v = join(v, a.onlySecrets())
	}
	if t.input && len(c.in.From) > 0 {
		v = join(v, c.in)
		r.emit(Event{Kind: Used, From: c.in.From, Command: t.words, Login: true}, c.node)
	}
	for _, a := range c.args { // gcloud auth activate-service-account --key-file=…
		_, name, joined := strings.Cut(a.Text, "=")
		if !joined {
			name = a.Text
		}
		if key := r.read(name); t.input && strings.Contains(name, "/") && len(key.From) > 0 {
			v = join(v, key)
			r.emit(Event{Kind: Used, From: key.From, Command: t.words, Login: true}, c.node)
		}
	}
	if file != "" {
		r.write(Stored, r.elsewhere(file), t.words, v, c.node)
	}
}

// homes are variables that tell tools to keep their files elsewhere.
var homes = []struct{ variable, file, under string }{
	{"GNUPGHOME", "~/.gnupg", ""},
	{"DOCKER_CONFIG", "~/.docker/config.json", "config.json"},
	{"NPM_CONFIG_USERCONFIG", "~/.npmrc", ""},
	{"npm_config_userconfig", "~/.npmrc", ""},
	{"GIT_CONFIG_GLOBAL", "~/.gitconfig", ""},
	{"PIP_CONFIG_FILE", "~/.config/pip/pip.conf", ""},
	{"AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", ""},
	{"KUBECONFIG", "~/.kube/config", ""},
	{"CLOUDSDK_CONFIG", "~/.config/gcloud/credentials.db", "credentials.db"},
	{"REGISTRY_AUTH_FILE", "~/.config/containers/auth.json", ""},
	{"HELM_REGISTRY_CONFIG", "~/.config/helm/registry/config.json", ""},
}

// elsewhere is where a tool keeps a file.
func (r *runner) elsewhere(file string) string {
	for _, h := range homes {
		if v := r.value(h.variable).Text; v != "" && h.file == file {
			return path.Join(v, h.under)
		}
	}
	if home := r.value("HOME").Text; home != "" && strings.HasPrefix(file, "~/") {
		return path.Join(home, file[2:])
	}
	return file
}

// gitConfig is the file that git config writes.
func gitConfig(options map[string]Value, dir string) string {
	switch {
	case has(options, "--global"):
		return "~/.gitconfig"
	case has(options, "--system"):
		return "/etc/gitconfig"
	}
	for _, o := range []string{"-f", "--file"} {
		if v, ok := options[o]; ok {
			return v.Text
		}
	}
	return path.Join(dir, ".git/config")
}

// clone has git write the address that it is given into the new repository.
func (r *runner) clone(c *call) {
	_, operands := c.split("-b", "--branch", "--depth", "-o", "--origin", "-c", "--config", "--recurse-submodules", "-j", "--jobs", "--filter", "--reference", "-C")
	if len(operands) < 2 { // "clone" is the first
		return
	}
	from := operands[1]
	dir := strings.TrimSuffix(path.Base(from.Text), ".git")
	if len(operands) > 2 {
		dir = operands[2].Text
	}
	if u, err := url.Parse(from.Text); err == nil && u.User == nil && len(from.From) > 0 {
		return // the variable is a part of the path
	}
	r.write(Stored, path.Join(dir, ".git/config"), "git clone", from, c.node)
}

// fetched are words in addresses and the names of files that say that secrets are there.
var fetched = []string{"secret", "vault", "credential", "/token", "password", ".npmrc", "id_rsa", "id_ed25519", "id_ecdsa", ".netrc", "private-key", "privatekey"}

func (r *runner) curl(c *call) Value {
	options, operands := c.split("-o", "--output", "-u", "--user", "-H", "--header", "-d", "--data", "--data-binary", "-X", "--request", "-F", "-A", "-e", "-b", "-c", "--cacert", "--cert", "--key", "-T", "--retry", "--connect-timeout", "-m", "--max-time", "-w", "-x", "--url", "-K", "--netrc-file", "--retry-delay", "--data-urlencode")
	if u, ok := options["--url"]; ok {
		operands = append(operands, u)
	}
	out := r.fetch(c, operands)
	if has(options, "-v", "--verbose", "--trace", "--trace-ascii") {
		var told Value
		for _, a := range c.args {
			told = join(told, a.onlySecrets())
		}
		if len(told.From) > 0 {
			r.emit(Event{Kind: Printed, From: told.From, Command: "curl -v"}, c.node)
		}
	}
	file := options["-o"].Text + options["--output"].Text
	if has(options, "-O", "--remote-name") && file == "" && len(operands) > 0 {
		file = path.Base(operands[0].Text)
	}
	return r.saved(c, file, out)
}

func (r *runner) wget(c *call) Value {
	options, operands := c.split("-O", "--output-document", "-o", "-P", "-U", "-t", "-T", "--header", "--post-data")
	file := options["-O"].Text + options["--output-document"].Text
	if o, ok := options["-qO-"]; ok || has(options, "-qO") && strings.HasSuffix(o.Text, "-") {
		file = "-"
	}
	for o := range options {
		if strings.HasPrefix(o, "-q") && strings.HasSuffix(o, "O") && len(operands) > 1 { // -qO file
			file, operands = operands[0].Text, operands[1:]
		}
	}
	if file == "" && len(operands) > 0 {
		file = path.Base(operands[0].Text)
	}
	return r.saved(c, file, r.fetch(c, operands))
}

// saved writes what was fetched to a file, if there is one.
func (r *runner) saved(c *call, file string, v Value) Value {
	if file == "" || file == "-" || file == "/dev/stdout" {
		return v
	}
	r.write(Written, file, c.name, v, c.node)
	return Value{}
}

// fetch is what comes from addresses: a secret, if they say so.
func (r *runner) fetch(c *call, addresses []Value) (out Value) {
	for _, a := range addresses {
		u, err := url.Parse(a.Text)
		if err != nil || u.Host == "" && !strings.Contains(a.Text, "/") {
			continue
		}
		if len(a.From) > 0 && strings.Contains(a.Text, "?") {
			r.emit(Event{Kind: InURL, From: a.From, Text: a.Text}, c.node)
		}
		if r.script.Fetched != nil && u.Scheme == "http" && holdsSecrets(u) {
			n := r.script.Fetched(int(c.node.Pos().Offset()), u.Host)
			out = join(out, r.standIns(Origins{n}))
		}
	}
	return out
}

// holdsSecrets tells whether an address says that secrets are there.
func holdsSecrets(u *url.URL) bool {
	low := strings.ToLower(u.Host + u.Path)
	for _, w := range fetched {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}
