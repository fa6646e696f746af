package caller

import (
	"bytes"
	"errors"
	"path"
	"regexp"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// pattern is compiled at its first use: most commands of the program need none.
type pattern = func() *regexp.Regexp

const actionsKind = "github-actions"

// kinds tell by its path what a file is. The first that fits counts.
var kinds = []struct {
	name string
	path pattern
}{
	{actionsKind, lazy.Regexp(`(^|/)\.(github|gitea|forgejo)/workflows/[^/]+\.ya?ml$|(^|/)action\.ya?ml$`)},
	{"gitlab-ci", lazy.Regexp(`(^|/)\.gitlab-ci\.ya?ml$|(^|/)\.gitlab/.*\.ya?ml$|\.gitlab-ci\.ya?ml$`)},
	{"circleci", lazy.Regexp(`(^|/)\.circleci/[^/]+\.ya?ml$`)},
	{"bitbucket", lazy.Regexp(`(^|/)bitbucket-pipelines\.ya?ml$`)},
	{"azure-pipelines", lazy.Regexp(`(^|/)\.?azure-pipelines?[^/]*\.ya?ml$|(^|/)\.azure-pipelines/.*\.ya?ml$|(^|/)\.pipelines/.*\.ya?ml$`)},
	{"cloud-build", lazy.Regexp(`(^|/)\.?cloudbuild[^/]*\.(ya?ml|json)$`)},
	{"compose", lazy.Regexp(`(^|/)(docker-)?compose[^/]*\.ya?ml$`)},
	{"bake", lazy.Regexp(`(^|/)docker-bake[^/]*\.(hcl|json)$|(^|/)bake[^/]*\.hcl$`)},
	{"jenkins", lazy.Regexp(`(^|/)Jenkinsfile[^/]*$|\.jenkinsfile$`)},
	{"makefile", lazy.Regexp(`(^|/)(GNUmakefile|[Mm]akefile)(\.[^/]+)?$|\.mk$|(^|/)\.?[Jj]ustfile$|(^|/)[Tt]askfile(\.dist)?\.ya?ml$`)},
	{"script", lazy.Regexp(`\.(sh|bash)$`)},
	{"tekton", lazy.Regexp(`(^|/)\.?tekton/.*\.ya?ml$`)},
}

// Kind tells by its path what starts builds in a file, such as "compose"; "" if nothing does. Read knows a few more files by what is in them.
func Kind(name string) string {
	for _, k := range kinds {
		if k.path().MatchString(name) {
			return k.name
		}
	}
	return ""
}

var shebang = lazy.Regexp(`^#!\s*\S*/(env\s+(-S\s+)?)?(ba|da|k|a)?sh\b`)

// kindOf looks at the text where the path does not tell.
func kindOf(name string, text []byte) string {
	kind := Kind(name)
	if kind != "" {
		return kind
	}
	switch path.Ext(name) {
	case "":
		if shebang().Match(text) {
			return "script"
		}
	case ".yaml", ".yml":
		if bytes.Contains(text, []byte("tekton.dev/")) && bytes.Contains(text, []byte("apiVersion:")) {
			return "tekton"
		}
	}
	return ""
}

// reader reads the files of a kind.
func reader(kind string) func(d *document) {
	switch kind {
	case "compose":
		return readCompose
	case "bake":
		return readBake
	case actionsKind:
		return readActions
	case "jenkins":
		return readJenkins
	case "makefile":
		return readMakefile
	case "script":
		return readScript
	}
	return readPipeline
}

// mayBuild tells whether a file can start a build at all. Most cannot, and are not parsed.
func mayBuild(kind string, text []byte) bool {
	for _, word := range []string{"build", "bud", "kaniko", "bake"} {
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	return kind == "bake"
}

// Read finds the builds that a file starts. The name is its path from the project's root, with slashes. What could be read comes with the error, which
// is made of a *SyntaxError for each mistake.
func Read(name string, text []byte) ([]Build, error) {
	d := read(name, text)
	if d == nil {
		return nil, nil
	}
	var out []Build
	for _, f := range d.builds {
		out = append(out, f.Build)
	}
	return out, errors.Join(d.errs...)
}

// read is nil for a file that starts no builds.
func read(name string, text []byte) *document {
	kind := kindOf(name, text)
	if kind == "" || !mayBuild(kind, text) {
		return nil
	}
	d := newDocument(name, kind, text)
	reader(kind)(d)
	return d
}

// folder is the folder that a file is in, from the root.
func folder(name string) string { return path.Dir(strings.TrimPrefix(name, "./")) }

func readScript(d *document) {
	here := folder(d.name)
	s := &scope{kind: d.kind, dir: here, here: here}
	if here != "." {
		s.others = []string{"."}
	}
	readShell(d, s, whole(d.text))
}
