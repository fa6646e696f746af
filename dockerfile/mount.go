package dockerfile

import (
	"cmp"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// AddMounts returns the Dockerfile with a further --mount flag on each RUN instruction that mounts a secret for which
// mount returns one. Everything else stays byte for byte.
func (f *File) AddMounts(mount func(secretID string) (flag string, ok bool)) ([]byte, error) {
	lines := slices.Clone(f.lines)
	for run := range f.runs() {
		ids, err := secretIDs(run)
		if err != nil && !f.mountsSecret(run) {
			continue // what is wrong with it, if anything, is the builder's to say
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", f.name, firstLine(run.Location()), err)
		}
		var flags strings.Builder
		for _, id := range ids {
			if flag, ok := mount(id); ok {
				flags.WriteString(" " + flag)
			}
		}
		i := firstLine(run.Location()) - 1
		lines[i] = insertAfterKeyword(lines[i], "run", flags.String())
	}
	return []byte(strings.Join(lines, "")), nil
}

// runs yields the RUN instructions.
func (f *File) runs() iter.Seq[*instructions.RunCommand] {
	return func(yield func(*instructions.RunCommand) bool) {
		for _, s := range f.stages {
			for _, c := range s.Commands {
				if run, ok := c.(*instructions.RunCommand); ok && !yield(run) {
					return
				}
			}
		}
	}
}

// SecretIDs are the ids that the file's RUN instructions mount, each once.
func (f *File) SecretIDs() []string {
	var all []string
	for run := range f.runs() {
		ids, _ := secretIDs(run)
		for _, id := range ids {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// SecretLines are the first lines of the RUN instructions that mount a secret.
func (f *File) SecretLines(id string) []int {
	var all []int
	for run := range f.runs() {
		if ids, _ := secretIDs(run); slices.Contains(ids, id) {
			all = append(all, firstLine(run.Location()))
		}
	}
	return all
}

// mountsSecret tells whether a flag of a RUN instruction may mount a secret.
func (f *File) mountsSecret(run *instructions.RunCommand) bool {
	return slices.ContainsFunc(f.Flags(run.Location()), func(flag string) bool {
		return strings.Contains(flag, "secret") || strings.Contains(flag, "type=$")
	})
}

// HidesSecrets tells whether there may be steps with secrets that are not known by their ids: those with variables in them, and triggers.
func (f *File) HidesSecrets() bool {
	for _, s := range f.stages {
		for _, c := range s.Commands {
			if t, ok := c.(*instructions.OnbuildCommand); ok && strings.Contains(strings.ToLower(t.Expression), "secret") {
				return true
			}
		}
	}
	for run := range f.runs() {
		variable := slices.ContainsFunc(f.Flags(run.Location()), func(flag string) bool { return strings.Contains(flag, "$") })
		if variable && f.mountsSecret(run) {
			return true
		}
	}
	return false
}

// secretIDs are the ids that a RUN instruction mounts, each once: BuildKit looks for source=, then for id=, and then at the target's last
// element.
func secretIDs(run *instructions.RunCommand) ([]string, error) {
	// The parser resolves mounts only when it expands variables. Ids hardly ever hold any.
	if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return nil, err
	}
	var ids []string
	for _, m := range instructions.GetMounts(run) {
		if m.Type != instructions.MountTypeSecret {
			continue
		}
		id := cmp.Or(m.Source, m.CacheID, path.Base(m.Target))
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// insertAfterKeyword puts text behind the keyword that line starts with.
func insertAfterKeyword(line, keyword, text string) string {
	start := len(line) - len(strings.TrimLeft(line, " \t"))
	end := start + len(keyword)
	if end > len(line) || !strings.EqualFold(line[start:end], keyword) {
		return line
	}
	return line[:end] + text + line[end:]
}
