package dockerfile

import (
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// Origins says for each entry of an image's history, oldest first, which instruction of the chain made it; nil where
// that is not known, such as for the base image's entries.
//
// Builders write one entry for each instruction, so both lists are matched from their ends for as long as the
// keywords agree.
func Origins(chain []Instruction, history []string) []*Instruction {
	origins := make([]*Instruction, len(history))
	i := len(chain) - 1
	for h := len(history) - 1; h >= 0 && i >= 0; h-- {
		if filler().MatchString(history[h]) {
			continue
		}
		if keyword(history[h]) != chain[i].Keyword {
			break
		}
		origins[h] = &chain[i]
		i--
	}
	return origins
}

// filler is an entry that BuildKit adds for a base layer without history: the name of some step, "[stage 2/5] COPY a b".
var filler = lazy.Regexp(`^\[([^\]]* )?\d+/\d+\] `)

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
