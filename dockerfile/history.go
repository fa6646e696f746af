package dockerfile

import (
	"slices"
	"strings"
)

// Origins says for each entry of an image's history, oldest first, which instruction of the chain made it; nil where
// that is not known, such as for the base image's entries.
//
// Builders write one entry for each instruction, so both lists are matched from their ends for as long as the
// keywords agree.
func Origins(chain []Instruction, history []string) []*Instruction {
	origins := make([]*Instruction, len(history))
	for h, i := len(history)-1, len(chain)-1; h >= 0 && i >= 0; h, i = h-1, i-1 {
		if keyword(history[h]) != chain[i].Keyword {
			break
		}
		origins[h] = &chain[i]
	}
	return origins
}

// keywords are those that leave a history entry.
var keywords = []string{
	"add", "arg", "cmd", "copy", "entrypoint", "env", "expose", "healthcheck", "label", "maintainer", "onbuild",
	"run", "shell", "stopsignal", "user", "volume", "workdir",
}

// keyword is the instruction that a history entry tells of: BuildKit writes "RUN /bin/sh -c make # buildkit", the
// classic builder "/bin/sh -c make", and "/bin/sh -c #(nop)  ENV A=b" for what runs nothing.
func keyword(entry string) string {
	if _, after, ok := strings.Cut(entry, "#(nop)"); ok {
		entry = strings.TrimSpace(after)
	}
	word, _, _ := strings.Cut(entry, " ")
	if word = strings.ToLower(word); slices.Contains(keywords, word) {
		return word
	}
	return "run"
}
