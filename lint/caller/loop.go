package caller

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What repeats is read once for each value it is known to have, within bounds: of the values, of the text, and of the builds of a file.
const (
	maxRounds   = 50
	maxRepeated = 1 << 20 // bytes
	maxBuilds   = 1000
)

// mayRepeat tells whether a part of the file may be read so often.
func (d *document) mayRepeat(rounds, size int) bool {
	return rounds > 0 && rounds <= maxRounds && rounds*size <= maxRepeated && len(d.builds) < maxBuilds
}

// loop goes through a loop once for each of its words. If these are not known, neither is the variable.
func (sh *shell) loop(n *syntax.ForClause) bool {
	over, ok := n.Loop.(*syntax.WordIter)
	if !ok {
		return false
	}
	unknown := &setting{value: word{parts: []part{{kind: unknown}}}}
	values := sh.loopValues(over)
	around := max(sh.rounds, 1)
	if !sh.mayRepeat(around*len(values), int(n.End().Offset()-n.Pos().Offset())) {
		sh.set(over.Name.Value, unknown)
		return false
	}
	sh.rounds = around * len(values)
	for _, v := range values {
		sh.set(over.Name.Value, &setting{value: word{parts: []part{{kind: literal, text: v}}}})
		for _, s := range n.Do {
			sh.walk(s)
		}
	}
	sh.rounds = around
	sh.set(over.Name.Value, unknown)
	return true
}

// loopValues are the words of a loop; none if they are not all known.
func (sh *shell) loopValues(over *syntax.WordIter) []string {
	var out []string
	for _, w := range sh.splice(sh.words(over.Items), 0) {
		text, ok := sh.expand(w)
		if !ok || strings.ContainsAny(text, "*?[]{}~") {
			return nil
		}
		if p := w.only(); p != nil && p.bare {
			out = append(out, strings.Fields(text)...)
		} else {
			out = append(out, text)
		}
	}
	return out
}
