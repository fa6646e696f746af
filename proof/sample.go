package proof

import "slices"

// Finding a part of a secret is finding a leak. So a long form is searched for by samples of it, and an encoding that
// tools break into lines by pieces short enough to lie between two breaks.
const (
	maxNeedle   = 1 << 10 // bytes of a sample, and of any needle
	maxSamples  = 16
	sampleEvery = 4 << 10      // bytes of a form for each sample
	minWrapped  = 2 * pieceLen // characters of an encoding from which on pieces are searched for
	pieceLen    = 20
	pieceCount  = 3 // of them: no tool breaks lines of under 60 characters, so a break spoils one, or two that overlap
	pieceMin    = 6 // different characters, or it may occur by chance
	pieceSecret = 8 // characters of a piece that belong to the secret, or half of a shorter one
	sampleMin   = 8 // different bytes
)

// needlesOf is f in one encoding, as far as it is searched for.
func needlesOf(f form, enc encoding) [][]byte {
	var out [][]byte
	for _, s := range samplesOf(f) {
		for _, text := range enc.encode(s.text) {
			if len(s.text) == 0 || len(text) == 0 {
				continue
			}
			lo, hi := s.lo*len(text)/len(s.text), s.hi*len(text)/len(s.text)
			if enc.wraps && len(text) >= minWrapped {
				if pieces := piecesOf(text, lo, hi); pieces != nil {
					out = append(out, pieces...)
					continue
				}
			}
			at := max(0, min(lo, len(text)-maxNeedle))
			out = append(out, text[at:min(at+maxNeedle, len(text))])
		}
	}
	return out
}

// samplesOf is f itself if it is short, else parts of its secret range, evenly spaced.
func samplesOf(f form) []form {
	if len(f.text) <= maxNeedle {
		return []form{f}
	}
	lo, hi := widen(f.lo, f.hi, maxNeedle, len(f.text))
	count := min((hi-lo)/sampleEvery+1, maxSamples)
	var varied, all []form
	for i := range count {
		at := lo
		if count > 1 {
			at += i * (hi - lo - maxNeedle) / (count - 1)
		}
		s := form{text: f.text[at : at+maxNeedle], lo: max(f.lo-at, 0), hi: min(f.hi-at, maxNeedle)}
		all = append(all, s)
		if distinct(s.text) >= sampleMin {
			varied = append(varied, s)
		}
	}
	if varied == nil {
		return all
	}
	return varied
}

// piecesOf is a few pieces of an encoded text, from where in [lo, hi) its characters differ most. It is nil if they
// differ too little to mean anything.
func piecesOf(text []byte, lo, hi int) [][]byte {
	const span = pieceLen * pieceCount
	if hi-lo < span {
		return piecesAround(text, lo, hi)
	}
	best, bestVariety := lo, 0
	for at := lo; at+span <= hi; at++ {
		if variety := leastVariety(text[at:at+span], pieceLen); variety > bestVariety {
			best, bestVariety = at, variety
		}
	}
	if bestVariety < pieceMin {
		return nil
	}
	return cut(text[best:best+span], pieceLen)
}

// piecesAround is for secrets shorter than the pieces together. Each piece has a part of the secret in it: one of what
// stands next to a secret, such as a host name or the header of a key, would be found in clean images.
func piecesAround(text []byte, lo, hi int) [][]byte {
	least := min(pieceSecret, (hi-lo)/2)
	from, to := widen(lo, hi, 2*pieceLen, len(text))
	if middle := (lo + hi) / 2; to-from > 2*pieceLen {
		from, to = widen(middle, middle, 2*pieceLen, len(text))
	}
	var out [][]byte
	for at := from; at+pieceLen <= to; at += pieceLen / 2 {
		piece := text[at : at+pieceLen]
		if min(hi, at+pieceLen)-max(lo, at) >= least && distinct(piece) >= pieceMin {
			out = append(out, piece)
		}
	}
	return out
}

// leastVariety is the number of different characters in the plainest of the pieces.
func leastVariety(text []byte, length int) int {
	least := length
	for piece := range slices.Chunk(text, length) {
		least = min(least, distinct(piece))
	}
	return least
}

// cut is text in pieces of the given length, which divides its own.
func cut(text []byte, length int) [][]byte {
	return slices.Collect(slices.Chunk(text, length))
}

// widen grows the range lo, hi to a width of at least want around its middle, within 0 and limit.
func widen(lo, hi, want, limit int) (int, int) {
	if hi-lo >= want {
		return lo, hi
	}
	lo = max(0, min((lo+hi-want)/2, limit-want))
	return lo, min(lo+want, limit)
}
