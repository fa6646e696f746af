package detect

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"
)

// literals finds many short strings at once: Wu and Manber's search ("A fast algorithm for multi-pattern searching", 1994)
// with windows of 4 bytes and blocks of 2. The last two bytes of a window tell from a table how far it may move; where that is
// 0, its four bytes are looked up. Of a longer string the window lies over its rarest bytes. Four cursors run over quarters of the
// text at once, because the lookups depend on each other.
type literals struct {
	shifts  *[1 << 16]uint8
	filter  [1 << 12]uint64 // bits by hash of a window: few get past it
	buckets []uint16        // by hash of the window: start in entries, with one more at the end
	entries []entry
}

// entry is one string as one of its windows sees it. A string in any case has an entry for each way to write its window.
type entry struct {
	key    uint32 // the window
	before uint8  // bytes of the string before the window
	fold   bool   // its letters may be of any case
	id     uint16
	text   string // in lower case, if fold
}

// literal is a string to be found.
type literal struct {
	text string
	fold bool
}

// spot is where a literal was found.
type spot struct{ at, id int }

const (
	literalWindow = 4
	literalBits   = 14
	literalFactor = 0x9E3779B1
)

func newLiterals(list []literal) *literals {
	l := &literals{shifts: new([1 << 16]uint8), buckets: make([]uint16, 1<<literalBits+1), entries: make([]entry, 0, 2*len(list))}
	for i := range l.shifts {
		l.shifts[i] = literalWindow - 1
	}
	for id, lit := range list {
		text := lit.text
		if lit.fold {
			text = strings.ToLower(text)
		}
		at := rarest(text)
		for _, window := range cases(text[at:at+literalWindow], lit.fold) {
			l.entries = append(l.entries, entry{key: binary.LittleEndian.Uint32([]byte(window)), before: uint8(at), fold: lit.fold, id: uint16(id), text: text})
			for end := 2; end <= literalWindow; end++ {
				block := binary.LittleEndian.Uint16([]byte(window[end-2:]))
				l.shifts[block] = min(l.shifts[block], uint8(literalWindow-end))
			}
		}
	}
	l.fillBuckets()
	return l
}

// fillBuckets puts the entries in the order of their hashes, those with the same one in the order in which they came.
func (l *literals) fillBuckets() {
	for _, e := range l.entries {
		l.buckets[literalHash(e.key)+1]++
		bit := e.key * literalFactor >> 14
		l.filter[bit>>6] |= 1 << (bit & 63)
	}
	for i := range 1 << literalBits {
		l.buckets[i+1] += l.buckets[i]
	}
	next, sorted := slices.Clone(l.buckets), make([]entry, len(l.entries))
	for _, e := range l.entries {
		h := literalHash(e.key)
		sorted[next[h]] = e
		next[h]++
	}
	l.entries = sorted
}

func literalHash(key uint32) uint32 { return key * literalFactor >> (32 - literalBits) }

// cases are all the ways to write a text in lower case, if its case does not matter.
func cases(text string, fold bool) []string {
	if !fold {
		return []string{text}
	}
	out := []string{""}
	for i := range len(text) {
		var next []string
		for _, s := range out {
			next = append(next, s+text[i:i+1])
			if isLower(text[i]) {
				next = append(next, s+strings.ToUpper(text[i:i+1]))
			}
		}
		out = next
	}
	return out
}

// rarest is where in a text the window lies that occurs least by chance. What its last two bytes are matters most.
func rarest(text string) int {
	best, least, often := 0, 0.0, frequencies()
	for at := 0; at+literalWindow <= len(text) && at < 200; at++ {
		w := text[at : at+literalWindow]
		cost := 4*often.of(w[2], w[3]) + often.of(w[1], w[2]) + often.of(w[0], w[1])
		if at == 0 || cost < least {
			best, least = at, cost
		}
	}
	return best
}

// letterShare is how many of a thousand characters of a text are each letter.
var letterShare = [26]float64{65, 12, 30, 35, 105, 18, 17, 45, 58, 2, 7, 35, 22, 58, 60, 20, 1, 55, 52, 75, 24, 9, 15, 3, 16, 1}

// chances are what surprises between letters, which are in steps of 1/1.5 bits, stand for.
var chances = func() (out [64]float64) {
	for n := range out {
		out[n] = math.Exp2(-float64(n) / 1.5)
	}
	return out
}()

// frequencyTable has the frequencies of pairs of ASCII.
type frequencyTable [128][128]float64

func (t *frequencyTable) of(a, b byte) float64 {
	if (a|b)&0x80 != 0 {
		return frequency(a, b)
	}
	return t[a][b]
}

var frequencies = sync.OnceValue(func() *frequencyTable {
	t := new(frequencyTable)
	for a := range t {
		for b := range t {
			t[a][b] = frequency(byte(a), byte(b))
		}
	}
	return t
})

// frequency is about how often two bytes follow each other in programs and texts, of a thousand.
func frequency(a, b byte) float64 {
	share := 1.0
	if isLower(a | 0x20) {
		share = letterShare[a|0x20-'a']
	}
	switch {
	case isUpper(a) || isUpper(b):
		share /= 12
	case isLower(a) && b == ' ':
		return share / 4
	case a == b && !isAlnum(a):
		return 5 // lines of signs, comments
	}
	if isLower(a|0x20) && isLower(b|0x20) {
		return share * chances[int(1.5*surpriseAfter(a|0x20, b|0x20)+0.5)]
	}
	return share / 60
}

// find adds the places of all literals in text to found, in no particular order.
func (l *literals) find(text []byte, found []spot) []spot {
	last := len(text) - literalWindow // where the last window starts
	if last < 0 {
		return found
	}
	quarter := (last + 1) / 4
	a, b, c, d := 0, quarter, 2*quarter, 3*quarter
	endA, endB, endC, endD := b, c, d, last+1
	tails := text[literalWindow-2:] // the block of the window at i starts at tails[i]
	shifts := l.shifts
	for a < endA && b < endB && c < endC && d < endD {
		moveA := int(shifts[binary.LittleEndian.Uint16(tails[a:])])
		moveB := int(shifts[binary.LittleEndian.Uint16(tails[b:])])
		moveC := int(shifts[binary.LittleEndian.Uint16(tails[c:])])
		moveD := int(shifts[binary.LittleEndian.Uint16(tails[d:])])
		if moveA == 0 {
			if moveA = 1; l.likely(text, a) {
				found = l.compare(text, a, found)
			}
		}
		if moveB == 0 {
			if moveB = 1; l.likely(text, b) {
				found = l.compare(text, b, found)
			}
		}
		if moveC == 0 {
			if moveC = 1; l.likely(text, c) {
				found = l.compare(text, c, found)
			}
		}
		if moveD == 0 {
			if moveD = 1; l.likely(text, d) {
				found = l.compare(text, d, found)
			}
		}
		a, b, c, d = a+moveA, b+moveB, c+moveC, d+moveD
	}
	for _, rest := range [4][2]int{{a, endA}, {b, endB}, {c, endC}, {d, endD}} {
		for at := rest[0]; at < rest[1]; {
			move := int(shifts[binary.LittleEndian.Uint16(tails[at:])])
			if move == 0 {
				if move = 1; l.likely(text, at) {
					found = l.compare(text, at, found)
				}
			}
			at += move
		}
	}
	return found
}

// likely tells whether a window may be in the list. Few get past it by chance.
func (l *literals) likely(text []byte, at int) bool {
	bit := binary.LittleEndian.Uint32(text[at:]) * literalFactor >> 14
	return l.filter[bit>>6]&(1<<(bit&63)) != 0
}

// compare adds the literals whose windows are at the given place.
func (l *literals) compare(text []byte, at int, found []spot) []spot {
	key := binary.LittleEndian.Uint32(text[at:])
	h := literalHash(key)
	for _, e := range l.entries[l.buckets[h]:l.buckets[h+1]] {
		start := at - int(e.before)
		if e.key != key || start < 0 || start+len(e.text) > len(text) {
			continue
		}
		if here := text[start : start+len(e.text)]; string(here) == e.text || e.fold && sameFold(here, e.text) {
			found = append(found, spot{at: start, id: int(e.id)})
		}
	}
	return found
}

// sameFold compares letters of ASCII without their case. b is in lower case.
func sameFold(a []byte, b string) bool {
	for i, c := range a {
		if isUpper(c) {
			c |= 0x20
		}
		if c != b[i] {
			return false
		}
	}
	return true
}
