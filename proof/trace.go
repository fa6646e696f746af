package proof

// alphabet is a way to write bits as characters.
type alphabet struct {
	bits    uint // per character
	phases  []uint
	symbols [256]int16 // -1 for what is no character of it
}

// newAlphabet makes an alphabet of sets of characters that mean the same.
func newAlphabet(bits uint, phases []uint, sets ...string) *alphabet {
	a := &alphabet{bits: bits, phases: phases}
	for i := range a.symbols {
		a.symbols[i] = -1
	}
	for _, set := range sets {
		for i := range len(set) {
			a.symbols[set[i]] = int16(i)
		}
	}
	return a
}

// base64Symbols reads base64 and base64url, hexSymbols both cases, rawSymbols bytes as they are. A phase is how many
// bits of a character can be left over where a byte ends.
func base64Symbols() *alphabet {
	const common = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return newAlphabet(6, []uint{0, 2, 4}, common+"+/", common+"-_")
}

func hexSymbols() *alphabet {
	return newAlphabet(4, []uint{0}, "0123456789abcdef", "0123456789ABCDEF")
}

func rawSymbols() *alphabet {
	a := newAlphabet(8, []uint{0})
	for i := range a.symbols {
		a.symbols[i] = int16(i)
	}
	return a
}

// trace follows a stream, decodes what could be one encoding, and marks what decodes to a window of a secret.
type trace struct {
	*alphabet
	set    *windows
	hi, lo uint64       // the bits of the last characters
	places [16]maskSpan // where they are in the stream, by their number modulo 16
	count  int          // characters so far
	run    int          // those of them that belong together, at most 16
	hit    int          // count at the last window
	broken int          // count at the last line break that the run goes across, 0 for none
	kept   int          // characters before it that may begin a secret
	gap    int          // white space since the last character
	marked int64        // all of the run before this place is marked
}

const (
	// keptBits of a secret that begins at the end of a line are kept for the next line. Fewer would hold back the ends of
	// many lines that hold no secret.
	keptBits = 16
	// maxGap is how much white space a secret that is broken into lines has between two of them, at most.
	maxGap = 128
)

// step takes the character c at a place of the stream and calls mark for what turns out to be part of a secret.
func (t *trace) step(c byte, place maskSpan, mark func(lo, hi int64)) {
	symbol := t.symbols[c]
	if symbol < 0 {
		t.interrupt(c)
		return
	}
	t.gap = 0
	t.hi = t.hi<<t.bits | t.lo>>(64-t.bits)
	t.lo = t.lo<<t.bits | uint64(symbol)
	t.places[t.count%len(t.places)] = place
	t.count++
	t.run = min(t.run+1, len(t.places))
	for _, phase := range t.phases {
		length := int((64 + phase + t.bits - 1) / t.bits)
		if t.run < length || uint(t.run)*t.bits < 64+phase || !t.set.has(t.lo>>phase|t.hi<<(64-phase)) {
			continue
		}
		t.hit = t.count
		t.markLast(length, mark)
	}
	if t.broken > 0 && !t.hot() {
		t.run = min(t.run, t.count-t.broken+t.kept) // what follows the break is something else
		t.broken = 0
	}
}

// interrupt ends the run, except where a line of a secret is broken.
func (t *trace) interrupt(c byte) {
	newline := c == '\n' || c == '\r'
	t.gap++
	switch {
	case t.gap > maxGap || !newline && c != ' ' && c != '\t':
		t.run, t.broken = 0, 0
	case t.gap > 1: // the first decides
	case t.hot():
		t.broken, t.kept = t.count, 0
		if newline {
			t.kept = t.beginning()
		}
	case newline:
		t.run, t.broken = t.beginning(), 0
	default:
		t.run, t.broken = 0, 0
	}
}

// beginning is how many of the last characters may be where a secret begins, if they are enough to tell.
func (t *trace) beginning() int {
	for n := t.run; n > 0; n-- {
		if t.startsOne(t.set.first, uint(n), keptBits) {
			return n
		}
	}
	return 0
}

// hot reports whether the last character may belong to a secret that goes on.
func (t *trace) hot() bool {
	between := (uint(windowLen*t.set.stride) + t.bits - 1) / t.bits // characters from one window to the next
	return t.hit > 0 && t.count-t.hit < int(between)
}

// markLast marks the last n characters.
func (t *trace) markLast(n int, mark func(lo, hi int64)) {
	for i := t.count - n; i < t.count; i++ {
		if place := t.places[i%len(t.places)]; place.lo >= t.marked {
			mark(place.lo, place.hi)
			t.marked = place.hi
		}
	}
}

// pending is the first place that a later character may cause to be marked, or end if there is none.
func (t *trace) pending(end int64) int64 {
	for n := t.run; n > 0; n-- {
		if !t.startsOne(t.set.sorted, uint(n), 1) {
			continue
		}
		for i := t.count - n; i < t.count; i++ {
			if place := t.places[i%len(t.places)]; place.lo >= t.marked {
				return place.lo
			}
		}
		return end
	}
	return end
}

// startsOne reports whether the last n characters may be where one of some windows starts, with at least so many bits of it.
func (t *trace) startsOne(windows []uint64, n, bits uint) bool {
	for _, skip := range t.phases {
		if known := n*t.bits - skip; bits <= known && known < 64 && anyStarts(windows, t.lo&(1<<known-1), known) {
			return true
		}
	}
	return false
}
