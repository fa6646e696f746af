package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// fieldAt names the field of a JSON document that the byte at an offset belongs to, such as history[2].created_by.
// It is empty outside of any field, and where the document is no JSON.
func fieldAt(doc []byte, offset int64) string {
	dec := json.NewDecoder(bytes.NewReader(doc))
	var w fieldWalk
	for {
		tok, err := dec.Token()
		if err != nil {
			return ""
		}
		w.next(tok)
		if offset < dec.InputOffset() {
			return w.String()
		}
		w.after(tok)
	}
}

// fieldFrame is one object or array on the way to a field.
type fieldFrame struct {
	array bool
	index int
	key   string
	isKey bool // the next string is a key
}

// fieldWalk follows the tokens of a document.
type fieldWalk struct{ frames []fieldFrame }

func (w *fieldWalk) top() *fieldFrame {
	if len(w.frames) == 0 {
		return nil
	}
	return &w.frames[len(w.frames)-1]
}

// next takes a token in, as far as it names the field.
func (w *fieldWalk) next(tok json.Token) {
	if f := w.top(); f != nil && !f.array && f.isKey {
		if key, ok := tok.(string); ok {
			f.key = key
		}
	}
}

// after takes in what a token means for those that follow.
func (w *fieldWalk) after(tok json.Token) {
	switch tok {
	case json.Delim('{'):
		w.frames = append(w.frames, fieldFrame{isKey: true})
		return
	case json.Delim('['):
		w.frames = append(w.frames, fieldFrame{array: true})
		return
	case json.Delim('}'), json.Delim(']'):
		w.frames = w.frames[:len(w.frames)-1]
	}
	switch f := w.top(); {
	case f == nil:
	case f.array:
		f.index++
	default:
		f.isKey = !f.isKey
	}
}

func (w *fieldWalk) String() string {
	var b strings.Builder
	for _, f := range w.frames {
		switch {
		case f.array:
			fmt.Fprintf(&b, "[%d]", f.index)
		case f.key != "" && b.Len() > 0:
			b.WriteString("." + f.key)
		default:
			b.WriteString(f.key)
		}
	}
	return b.String()
}
