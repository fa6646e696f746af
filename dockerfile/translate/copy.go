package translate

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/internal/lazy"
)

// copyFlags are the flags of COPY and ADD that only BuildKit has.
type copyFlags struct {
	link     bool
	chmod    string
	parents  bool
	exclude  []string
	checksum string
}

// copy translates a COPY or ADD: documents in it become files of the build context.
func (t *translation) copy(c instructions.Command, s instructions.SourcesAndDest, flags copyFlags) error {
	at := c.(interface{ Location() []parser.Range }).Location()
	if t.builder.Mounts {
		flags = copyFlags{} // it knows them
		if t.builder.Heredocs {
			return nil
		}
	}
	for flag, used := range map[string]bool{
		"chmod": flags.chmod != "", "parents": flags.parents, "exclude": len(flags.exclude) > 0, "checksum": flags.checksum != "",
	} {
		if used {
			return t.fail(at, fmt.Sprintf("this builder has no %s --%s", strings.ToUpper(c.Name()), flag), "")
		}
	}
	if !flags.link && len(s.SourceContents) == 0 {
		return nil
	}
	head := headOf(strings.TrimRight(t.file.Text(at), "\r\n"), s.SourceContents)
	if flags.link {
		t.note(at, "copies without --link: this builder has no such layers")
		head = dropFlag(head, "--link")
	}
	line := dockerfile.EditOf(at, "").First
	for _, doc := range s.SourceContents {
		if t.o.NoFiles {
			return t.fail(at, "its document would have to be a file of the build context", "")
		}
		if doc.Expand && strings.ContainsRune(doc.Data, '$') {
			return t.fail(at, "its document holds variables, whose values are not known here", "write <<'"+doc.Path+"' if they are meant as text, or "+buildWithBuildKit)
		}
		name := fmt.Sprintf("tightlip-%d/%s", line, doc.Path)
		if t.builder.Documents == "" {
			name = "." + name
		} else if len(s.SourceContents) > 1 || len(s.SourcePaths) > 0 {
			return t.fail(at, "this builder cannot copy documents together with other sources", "a COPY for each")
		}
		t.res.Files[name] = []byte(doc.Data)
		head = replaceHeredoc(head, doc.Path, name)
	}
	if t.builder.Documents != "" {
		head = strings.Replace(head, c.Name(), c.Name()+" --from="+t.builder.Documents, 1)
	}
	t.res.Steps = append(t.res.Steps, Step{Line: line, Text: strings.TrimRight(t.file.Text(at), "\r\n"), New: strings.TrimSpace(head)})
	t.replace(at, []string{strings.TrimRight(head, "\r")})
	return nil
}

// headOf is an instruction up to where its documents begin.
func headOf(text string, docs []instructions.SourceContent) string {
	lines := strings.Split(text, "\n")
	n := len(lines)
	for _, d := range docs {
		n -= strings.Count(d.Data, "\n") + 1
	}
	return strings.Join(lines[:max(n, 1)], "\n")
}

// flagsOf are the flags behind an instruction's keyword, with the white space, and line continuations, behind each.
var flagsOf = lazy.Regexp(`^\s*\S+\s+((?:--\S+(?:\s|\\\n|` + "`\\n" + `)+)*)`)

// dropFlag takes a flag, with or without a value, out of an instruction.
func dropFlag(text, flag string) string {
	at := flagsOf().FindStringSubmatchIndex(text)
	if at == nil {
		return text
	}
	one := regexp.MustCompile(regexp.QuoteMeta(flag) + `(=\S*)?(\s+|$)`)
	rest := text[at[2]:at[3]]
	for _, m := range one.FindAllStringIndex(rest, -1) {
		if m[0] == 0 || strings.ContainsAny(rest[m[0]-1:m[0]], " \t\n") {
			return text[:at[2]] + rest[:m[0]] + rest[m[1]:] + text[at[3]:]
		}
	}
	return text
}

// replaceHeredoc puts a file's name where a document's sign is: <<NAME, <<-NAME, <<"NAME".
func replaceHeredoc(text, name, file string) string {
	for _, quoted := range []string{name, `"` + name + `"`, "'" + name + "'"} {
		for _, sign := range []string{"<<-", "<<"} {
			if before, after, ok := strings.Cut(text, sign+quoted); ok {
				return before + file + after
			}
		}
	}
	return text
}
