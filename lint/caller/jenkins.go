package caller

import (
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// jenkinsfile reads the sh steps of a Jenkinsfile, and what it builds by the docker plugin. It does not read Groovy.
type jenkinsfile struct {
	*document
	vars    map[string]*setting
	folders []groovyFolder
}

// groovyFolder is a dir step: the folder counts from start to end.
type groovyFolder struct {
	name       string
	start, end int
}

var (
	groovyStep       = lazy.Regexp(`\bsh\b\s*\(?\s*(?:(?:label|returnStdout|returnStatus|encoding)\s*:\s*[^,()]+,\s*)*(?:script\s*:\s*)?('''|"""|'|")|\bdocker\.build\s*\(\s*(?:"[^"]*"|'[^']*'|[^,()"']+)\s*(?:,\s*('''|"""|'|")|\))`)
	groovyDir        = lazy.Regexp(`\bdir\s*\(\s*['"]([^'"$]+)['"]\s*\)\s*\{`)
	groovyCredential = lazy.Regexp(`\b(?:variable|passwordVariable|usernameVariable|tokenVariable)\s*:\s*['"](\w+)['"]|\b(\w+)\s*=\s*credentials\s*\(`)
	groovyEnv        = lazy.Regexp(`\$\{\s*env\.(\w+)\s*\}|\$env\.(\w+)`)
)

func readJenkins(d *document) {
	j := &jenkinsfile{document: d, vars: map[string]*setting{}}
	text := string(d.text)
	for _, m := range groovyCredential().FindAllStringSubmatch(text, -1) {
		j.vars[m[1]+m[2]] = &setting{value: word{parts: []part{{kind: unknown}}}, from: "credentials " + m[1] + m[2], exported: true}
	}
	for _, m := range groovyDir().FindAllStringSubmatchIndex(text, -1) {
		end := m[1] - 1 + closing(" "+text[m[1]-1:]) - 1
		j.folders = append(j.folders, groovyFolder{text[m[2]:m[3]], m[0], end})
	}
	for _, m := range groovyStep().FindAllStringSubmatchIndex(text, -1) {
		j.step(text, m)
	}
}

// step reads the text that a step is given.
func (j *jenkinsfile) step(text string, m []int) {
	s := &scope{kind: j.kind, dir: j.folder(m[0]), here: ".", vars: copied(j.vars)}
	var w writer
	plugin := strings.HasPrefix(text[m[0]:], "docker")
	if plugin {
		w.put("docker build ", m[0])
	}
	quote, start := "", m[1]
	for g := 2; g < len(m); g += 2 {
		if m[g] >= 0 {
			quote = text[m[g]:m[g+1]]
		}
	}
	end := start
	if quote == "" {
		w.put(".", start)
	} else {
		end = j.quoted(&w, s, text, start, quote)
	}
	src := w.source(end)
	src.rigid = plugin && quote == ""
	if mayBuild("", []byte(src.text)) {
		readShell(j.document, s, src)
	}
}

func (j *jenkinsfile) folder(at int) string {
	dir := "."
	for _, f := range j.folders {
		if f.start < at && at < f.end {
			dir = orOutside(join(dir, f.name))
		}
	}
	return dir
}

// maxName is how many bytes a variable and what is around its name may have.
const maxName = 200

// quoted reads a text up to its closing quote, and undoes its escapes. In double quotes, Groovy fills in variables before the shell does.
func (j *jenkinsfile) quoted(w *writer, s *scope, text string, at int, quote string) int {
	groovy := quote[0] == '"'
	if groovy {
		s.unsure = "Groovy fills it in, and it may not be in the environment"
	}
	for at < len(text) && !strings.HasPrefix(text[at:], quote) {
		if len(quote) == 1 && text[at] == '\n' {
			break
		}
		if groovy && text[at] == '$' {
			if m := groovyEnv().FindStringSubmatchIndex(text[at:min(len(text), at+maxName)]); m != nil && m[0] == 0 {
				j.environment(w, s, text, at, m)
				at += m[1]
				continue
			}
		}
		if text[at] == '\\' && at+1 < len(text) {
			w.put(groovyEscape(text[at+1]), at)
			at += 2
			continue
		}
		w.keep(text[at:at+1], at)
		at++
	}
	return at
}

// environment reads ${env.X}, which is surely in the environment.
func (j *jenkinsfile) environment(w *writer, s *scope, text string, at int, m []int) {
	name := ""
	for g := 2; g < len(m); g += 2 {
		if m[g] >= 0 {
			name = text[at+m[g] : at+m[g+1]]
		}
	}
	if s.vars[name] == nil && !rootNames[name] {
		s.vars[name] = &setting{value: word{parts: []part{{kind: unknown}}}, exported: true}
	}
	w.put("${"+name+"}", at)
}

func groovyEscape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '\n':
		return " "
	}
	return string(rune(c))
}
