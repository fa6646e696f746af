package report

import (
	"io"
	"strings"
)

var diffStyles = map[byte]string{'-': "31", '+': "32", '@': "36"}

// WriteDiff writes a unified diff. Its tabs and its lines' ends stay as they are, so that patch takes it; what else is not for people to read
// is made printable.
func WriteDiff(w io.Writer, diff string, o Options) error {
	t := &text{color: o.Color}
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		end := "\n"
		if strings.HasSuffix(line, "\r") {
			line, end = strings.TrimSuffix(line, "\r"), "\r\n"
		}
		style := plain
		if line != "" {
			style = diffStyles[line[0]]
		}
		parts := strings.Split(line, "\t")
		for i := range parts {
			parts[i] = printable(parts[i])
		}
		t.span(style, noCommand(strings.Join(parts, "\t")))
		t.b.WriteString(end)
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}
