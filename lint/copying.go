package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/scan/detect"
)

// credential is a file by whose name alone it is known that it holds credentials.
type credential struct {
	patterns string // of the end of its path, in lower case, with blanks between them
	what     string
	rule     *detect.Rule
}

// credentials are looked through in this order. A pattern that ends with a slash stands for a folder.
var credentials = []credential{
	{"id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk *_rsa *_ed25519 *.ppk deploy_key .ssh/", "a private SSH key", sshKeyCopied},
	{".npmrc .yarnrc.yml .pypirc pip.conf .netrc _netrc .git-credentials .gitconfig.local", "credentials of a package manager or Git", copiedCredential},
	{".docker/config.json .dockercfg .docker/ containers/auth.json", "registry credentials", copiedCredential},
	{".aws/credentials .aws/ .azure/ gcloud/ .config/gcloud/ service-account*.json service_account*.json *serviceaccount*.json gcp-key*.json gcp-*.json gcloud-*.json application_default_credentials.json credentials.json *-credentials.json *_credentials.json", "cloud credentials", copiedCredential},
	{".kube/config .kube/ kubeconfig *.kubeconfig kubeconfig.yaml", "cluster credentials", copiedCredential},
	{".env .env.production .env.prod .env.local .env.development .env.staging prod.env production.env secrets.env .envrc", "environment variables, mostly with passwords", copiedCredential},
	{".pgpass .my.cnf .mylogin.cnf .s3cfg .boto rclone.conf .vault-token .htpasswd .terraformrc terraform.rc terraform.tfstate *.tfvars .cargo/credentials .cargo/credentials.toml .gem/credentials auth.json settings-security.xml master.key config/credentials/*.key secrets.yml secrets.yaml secrets.json vault-pass* .vault_pass* .vault_password*", "credentials", copiedCredential},
	{"*.p12 *.pfx *.jks *.keystore *.key private.pem *-key.pem *_key.pem privkey.pem key.pem private_key.pem", "a private key", copiedCredential},
}

// harmlessEndings are those of examples and public halves.
var harmlessEndings = []string{".pub", ".example", ".sample", ".template", ".dist", ".tmpl", ".tpl", ".md", ".enc", ".gpg", ".asc", ".age", ".sops", ".defaults", ".test", ".ci.example"}

// isExample tells whether the name of a file, in lower case, says that what it holds is none, or not readable.
func isExample(p string) bool {
	return slices.ContainsFunc(harmlessEndings, func(e string) bool { return strings.HasSuffix(p, e) }) || strings.Contains(p, "example")
}

// isKey tells whether the name of a file is one of a private SSH key.
func isKey(name string) bool {
	c := credentialName(name)
	return c != nil && c.rule == sshKeyCopied
}

// credentialName is what the name of a file says that is in it; nil if nothing.
func credentialName(p string) *credential {
	folder := strings.HasSuffix(p, "/")
	p = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(path.Clean("/"+p), "/"), "/"))
	if isExample(p) || strings.Contains(p, "public") {
		return nil
	}
	for i := range credentials {
		for _, pattern := range strings.Fields(credentials[i].patterns) {
			dir, isDir := strings.CutSuffix(pattern, "/")
			if isDir && !folder && path.Ext(p) != path.Ext(dir) {
				continue
			}
			n := strings.Count(dir, "/") + 1
			parts := strings.Split(p, "/")
			if len(parts) < n {
				continue
			}
			if ok, _ := path.Match(dir, strings.Join(parts[len(parts)-n:], "/")); ok {
				return &credentials[i]
			}
		}
	}
	return nil
}

// copying is a COPY or ADD.
type copying struct {
	body     dockerfile.Body
	sources  []string
	contents []instructions.SourceContent
	dest     string
	from     string
	excludes []string
	add      bool
}

// copied follows what a COPY or ADD brings.
func (c *checker) copied(s *state, stage int, k *copying) {
	dest := c.expand(s, k.dest).Text
	s.copyKnown = (path.IsAbs(dest) || s.known) && !s.unknown(k.dest)
	_, rest := k.body.Flags()
	for _, content := range k.contents {
		c.heredoc(s, stage, rest, dest, content)
	}
	for i, source := range k.sources {
		v := c.expand(s, source)
		at := sourcePlace(rest, source)
		target := flow.Abs(s.dir, dest)
		many := len(k.sources) > 1 || strings.HasSuffix(dest, "/") || dest == "." || dest == "./"
		switch {
		case k.add && (strings.Contains(v.Text, "://") || strings.HasPrefix(v.Text, "git@")):
			if i == 0 {
				c.literals(stage, rest, detect.Content{Data: []byte(rest.Text), Kind: detect.Command}, literalSecret)
			}
			c.used(detect.Content{Data: []byte("curl " + v.Text), Kind: detect.Command}, v.From, "ADD", at.line)
		case k.from != "":
			c.fromStage(s, stage, k, v.Text, target, many, at)
		case !strings.Contains(v.Text, standIn):
			c.fromContext(s, stage, v.Text, target, many, k.excluded(), at)
		}
	}
}

// excluded tells which files --exclude leaves out, by their paths from the source.
func (k *copying) excluded() func(string) bool {
	m, err := patternmatcher.New(k.excludes)
	if err != nil || len(k.excludes) == 0 {
		return func(string) bool { return false }
	}
	return func(name string) bool {
		out, err := m.MatchesOrParentMatches(name)
		return out && err == nil
	}
}

func sourcePlace(b dockerfile.Body, source string) place {
	if n := strings.Index(b.Text, source); n >= 0 {
		return placeIn(b, n, n+len(source))
	}
	return placeIn(b, 0, len(strings.SplitN(b.Text, "\n", 2)[0]))
}

// heredoc is a file that is written into the Dockerfile.
func (c *checker) heredoc(s *state, stage int, body dockerfile.Body, dest string, content instructions.SourceContent) {
	name := dest
	if strings.HasSuffix(dest, "/") {
		name = path.Join(dest, content.Path)
	}
	start := max(strings.Index(body.Text, content.Data), 0)
	c.literals(stage, body.From(start), detect.Content{Path: strings.TrimPrefix(name, "/"), Data: []byte(content.Data)}, literalSecret)
	if !content.Expand {
		return
	}
	v := c.expand(s, content.Data)
	at := placeIn(body, 0, len(strings.SplitN(body.Text, "\n", 2)[0]))
	c.used(detect.Content{Path: strings.TrimPrefix(name, "/"), Data: []byte(v.Text)}, v.From, name, at.line)
	if len(v.From) > 0 {
		s.files[flow.Abs(s.dir, name)] = flow.Origins(v.From)
		c.find(found{rule: secretInFile, at: at, key: name, from: v.From, stage: stage, detail: func() string {
			return fmt.Sprintf("%s, a secret (%s), is written to %s.", c.first(v.From).name, c.first(v.From).why, name)
		}})
	}
}

// fromStage follows what another stage has.
func (c *checker) fromStage(s *state, stage int, k *copying, source, target string, many bool, at place) {
	n := c.file.Stage(k.from, stage)
	if n < 0 {
		return // an image, or a named context
	}
	source = flow.Abs("/", source)
	if source == "~" {
		many = false
	}
	var held []string
	var from flow.Origins
	for p, origins := range c.states[n].files {
		ok, _ := path.Match(source, p)
		if !ok && !flow.Within(p, source) && !(strings.HasPrefix(p, "~") && (source == "/" || source == "/root")) {
			continue
		}
		held = append(held, p)
		to := target
		if rest, below := strings.CutPrefix(p, strings.TrimSuffix(source, "/")+"/"); below {
			to = path.Join(target, rest)
		} else if many {
			to = path.Join(target, path.Base(p))
		}
		s.files[flow.Abs("/", to)] = origins
		for _, o := range origins {
			if !slices.Contains(from, o) {
				from = append(from, o)
			}
		}
	}
	if len(held) == 0 {
		return
	}
	slices.Sort(held)
	slices.Sort(from)
	c.find(found{rule: copiedFromStage, at: at, key: held[0], from: from, stage: stage, detail: func() string {
		return fmt.Sprintf("Stage %s has a secret in %s: %s, from line %d.", k.from, strings.Join(held[:min(len(held), 3)], ", "), c.first(from).name, c.first(from).at.line)
	}})
}

// fromContext follows what comes from the build context.
func (c *checker) fromContext(s *state, stage int, source, target string, many bool, excluded func(string) bool, at place) {
	if strings.Contains(source, "://") {
		return
	}
	clean := strings.TrimPrefix(path.Clean("/"+source), "/")
	c.sources = append(c.sources, clean)
	files := c.context.below(clean)
	by := credentialName(source)
	if len(files) == 0 && by != nil && !strings.ContainsAny(source, "*?[$") && !c.context.has(clean) {
		c.credentialFile(s, stage, clean, destination(target, clean, many), fmt.Sprintf("By its name, %s is %s.", clean, by.what), by.rule, finding.Severity(""), at)
		return
	}
	shown := 0
	for _, f := range files {
		if excluded(strings.TrimPrefix(f, clean+"/")) {
			continue
		}
		to := target
		if rest, below := strings.CutPrefix(f, clean+"/"); below || clean == "" || clean == "." {
			if clean == "" || clean == "." {
				rest = f
			}
			to = path.Join(target, rest)
		} else {
			to = destination(target, f, many)
		}
		m := c.context.credential(c.det, f, strings.TrimPrefix(strings.Replace(flow.Abs(s.dir, to), "~", "root", 1), "/"), f == clean)
		if m == nil {
			continue
		}
		detail := fmt.Sprintf("%s holds a credential: %s.", f, m.Title)
		if f == clean {
			rule := copiedCredential
			if by != nil {
				rule = by.rule
			}
			c.credentialFile(s, stage, f, to, detail, rule, m.Severity, at)
			continue
		}
		n := c.add(&origin{kind: fromFile, name: f, at: at, stage: stage, sure: true, why: m.Title})
		s.files[flow.Abs(s.dir, to)] = flow.Origins{n}
		if shown++; shown <= maxFiles {
			c.find(found{rule: contextCredential, at: at, key: f, context: f, stage: stage, severity: m.Severity, detail: text("%s .dockerignore does not leave it out.", detail)})
		}
	}
}

// maxFiles is how many files of a context one instruction is told of.
const maxFiles = 20

func destination(target, file string, many bool) string {
	if many {
		return path.Join(target, path.Base(file))
	}
	return target
}

// credentialFile is one that an instruction names.
func (c *checker) credentialFile(s *state, stage int, file, target, detail string, rule *detect.Rule, severity finding.Severity, at place) {
	o := &origin{kind: fromFile, name: file, at: at, stage: stage, sure: true, why: "it is a credential file"}
	n := c.add(o)
	o.target, o.dir = flow.Abs(s.dir, target), s.dir
	o.known = s.copyKnown && !strings.Contains(o.target, standIn)
	s.files[o.target] = flow.Origins{n}
	if severity == "" || rule.Severity.AtLeast(severity) {
		severity = rule.Severity
	}
	i := len(c.found)
	c.find(found{rule: rule, at: at, key: file, context: file, stage: stage, severity: severity})
	c.found[i].detail = func() string {
		if o.removed == 0 {
			return detail
		}
		return fmt.Sprintf("%s Line %d removes it: that hides it, and it stays in the layer of this line.", detail, o.removed)
	}
	c.found[i].origin = o
}

// buildContext is the folder that a build gets. Nil is one that is not known.
type buildContext struct {
	files []string // that .dockerignore does not leave out, in order
	all   map[string]bool
	read  func(name string) ([]byte, error)
	known map[string]*detect.Rule
	// ignoreFile is the one that leaves files out, from the project's root, or that would.
	ignoreFile string
	dir        string // from the project's root
}

// below are the files that a source of COPY stands for.
func (b *buildContext) below(source string) []string {
	if b == nil {
		return nil
	}
	if source == "" || source == "." {
		return b.files
	}
	var out []string
	for _, f := range b.files {
		ok := f == source || strings.HasPrefix(f, source+"/")
		if !ok && strings.ContainsAny(source, "*?[") {
			for p := f; p != "." && !ok; p = path.Dir(p) {
				ok, _ = path.Match(source, p)
			}
		}
		if ok {
			out = append(out, f)
		}
	}
	return out
}

// has tells whether the context has a file or folder, left out or not.
func (b *buildContext) has(name string) bool { return b != nil && b.all[name] }

// maxCredential is how many bytes a file of credentials may have.
const maxCredential = 1 << 20

// credential is the worst of what the detector finds in a file that is copied to another path; nil if there is nothing. Unless it is meant,
// only files that credentials are usually kept in are read.
func (b *buildContext) credential(det *detect.Detector, name, target string, meant bool) *detect.Rule {
	key := name + "\x00" + target
	if rule, ok := b.known[key]; ok {
		return rule
	}
	var worst *detect.Rule
	if !isExample(strings.ToLower(name)) {
		for _, p := range []string{name, target} {
			if !meant && !detect.Keeps(p) && credentialName(p) == nil && path.Ext(path.Base(p)) != "" {
				continue
			}
			data, err := b.read(name)
			if err != nil || len(data) > maxCredential || !meant && !detect.Keeps(p) && credentialName(p) == nil && !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
				continue
			}
			if bytes.Contains(data, []byte("kind: SealedSecret")) {
				continue // it is encrypted for a cluster
			}
			for _, m := range det.Find(detect.Content{Path: p, Data: data}) {
				if m.Rule.Severity.AtLeast(finding.Medium) && (worst == nil || m.Rule.Severity.AtLeast(worst.Severity)) {
					worst = m.Rule
				}
			}
		}
	}
	b.known[key] = worst
	return worst
}

// skipDirs are folders of tools, in which there is nothing to check.
func skipDir(d fs.DirEntry) bool {
	switch d.Name() {
	case ".git", ".hg", ".svn", "node_modules", "vendor", ".terraform", ".venv":
		return d.IsDir()
	}
	return false
}
