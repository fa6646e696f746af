package netrc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// entry is what a file says about a host; that of default has none.
type entry struct {
	host   string
	fields map[string]string
}

// parse reads the entries, those of default last. Macros are left out, as are lines that begin with #.
//
// No error quotes a word: that may be a password which somebody forgot to name.
func parse(text string) ([]entry, error) {
	var hosts, defaults []entry
	current := entry{fields: map[string]string{}} // what comes before any machine is for none
	for s := (scanner{text: text, line: 1}); ; {
		word, err := s.next()
		if err != nil {
			return nil, err
		}
		switch word {
		case "":
			return slices.Concat(hosts, defaults), nil
		case "default":
			current = entry{fields: map[string]string{}}
			defaults = append(defaults, current)
		case "macdef":
			s.skipMacro()
		case "machine", "login", "password", "account":
			value, err := s.value()
			if err != nil {
				return nil, err
			}
			if word != "machine" {
				current.set(word, value)
				continue
			}
			current = entry{host: value, fields: map[string]string{}}
			hosts = append(hosts, current)
		default:
			return nil, s.unknown()
		}
	}
}

// set has the first of equal fields count.
func (e entry) set(name, value string) {
	if _, ok := e.fields[name]; !ok {
		e.fields[name] = value
	}
}

type scanner struct {
	text string
	line int
}

const space = " \t\r\n"

// next is the next word, or "" at the end.
func (s *scanner) next() (string, error) {
	for {
		word, err := s.value()
		switch {
		case errors.Is(err, errEnd):
			return "", nil
		case err == nil && word == "": // in quotes
			return "", s.unknown()
		}
		if err != nil || !strings.HasPrefix(word, "#") {
			return word, err
		}
		comment, _, _ := strings.Cut(s.text, "\n")
		s.advance(len(comment))
	}
}

func (s *scanner) unknown() error {
	return fmt.Errorf("line %d is not made of machine, default, login, password, account and macdef", s.line)
}

var errEnd = errors.New("the file ends where a word is missing")

// value is the next word, whatever it begins with. In double quotes it may hold spaces, and \" \\ \n \r \t.
func (s *scanner) value() (string, error) {
	s.advance(len(s.text) - len(strings.TrimLeft(s.text, space)))
	switch {
	case s.text == "":
		return "", errEnd
	case s.text[0] == '"':
		return s.quoted()
	}
	end := strings.IndexAny(s.text+"\n", space)
	word := s.text[:end]
	s.advance(end)
	return word, nil
}

func (s *scanner) quoted() (string, error) {
	var b strings.Builder
	for i := 1; i < len(s.text); i++ {
		c := s.text[i]
		switch {
		case c == '"':
			s.advance(i + 1)
			return b.String(), nil
		case c == '\\' && i+1 < len(s.text):
			i++
			b.WriteString(unescaped(s.text[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("line %d opens a quote that is not closed", s.line)
}

func unescaped(c byte) string {
	if i := strings.IndexByte("nrt", c); i >= 0 {
		return "\n\r\t"[i : i+1]
	}
	return string([]byte{c})
}

// skipMacro leaves out a macro, which goes on to an empty line.
func (s *scanner) skipMacro() {
	end := strings.Index(s.text, "\n\n")
	if end < 0 {
		end = len(s.text)
	}
	s.advance(end)
}

func (s *scanner) advance(n int) {
	s.line += strings.Count(s.text[:n], "\n")
	s.text = s.text[n:]
}
