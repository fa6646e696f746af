package detect

import (
	"bytes"
	"slices"
	"strings"
)

// call is one of a function that takes a password.
type call struct {
	start    string // what it starts with: the anchor
	argument int    // the number of the argument that is the password
}

var calls = []call{
	{"getConnection(", 3}, // JDBC
	{"mysql_connect(", 3}, {"mysqli_connect(", 3}, {"new mysqli(", 3}, {"new PDO(", 3}, {"DBI->connect(", 3}, {"pymysql.connect(", 3}, {"MySQLdb.connect(", 3},
	{"ftp_login(", 3}, {"ssh2_auth_password(", 3}, {"imap_open(", 3}, {"ldap_bind(", 3}, {"oci_connect(", 2},
	{"HTTPBasicAuth(", 2}, {"SetBasicAuth(", 2}, {"Credentials.basic(", 2},
	{"NetworkCredential(", 2}, {"UsernamePasswordCredentials(", 2}, {"PasswordAuthentication(", 2},
}

func callAnchors() (out []string) {
	for _, c := range calls {
		out = append(out, c.start)
	}
	return out
}

// calledPassword finds the password that a function is called with, if it is written there.
func calledPassword(text []byte, at int) (start, end int, ok bool) {
	i := slices.IndexFunc(calls, func(c call) bool { return bytes.HasPrefix(text[at:], []byte(c.start)) })
	if i < 0 || wordBefore(text, at) {
		return 0, 0, false
	}
	from := at + len(calls[i].start)
	inner := text[from:min(len(text), from+maxCommand)]
	var user, v span
	for n, next := 0, 0; n < calls[i].argument; n++ {
		if user = v; next > len(inner) {
			return 0, 0, false
		}
		v, next = argument(inner, next)
	}
	value := string(inner[v.start:v.end])
	ok = v.quoted && password(value, string(inner[user.start:user.end])) && !harmlessValue(value) && !known(inner, v.start)
	return from + v.start, from + v.end, ok
}

// argument reads the argument of a call from a place on. It is quoted if it is a string and nothing is joined to that. The place after it
// is behind the end of the text if it is the last one.
func argument(text []byte, at int) (v span, next int) {
	depth := 0
	at = afterEscapes(text, at)
	first := at
	for at < len(text) {
		if s, after := literalAt(text, at); after > 0 {
			if at == first {
				v = s
			}
			at = after
			continue
		}
		switch c := text[at]; {
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			if depth--; depth < 0 {
				return v, len(text) + 1
			}
		case c == ',' && depth == 0:
			return v, at + 1
		case c == '+' || c == '%' || c == '.' && isBlank(text[at-1]):
			v.quoted = false
		}
		at++
	}
	return span{}, len(text) + 1
}

// afterEscapes is where white space ends, be it escaped or not.
func afterEscapes(text []byte, at int) int {
	for {
		switch at = afterBlanks(text, at); {
		case at+1 < len(text) && text[at] == '\\' && strings.IndexByte("nrt", text[at+1]) >= 0:
			at += 2
		default:
			return at
		}
	}
}

// literalAt reads the string that starts at a place, and returns the place after it, or 0 if there is none. In a program that stands in
// JSON, its quotes are escaped.
func literalAt(text []byte, at int) (v span, next int) {
	quote := text[at : at+1]
	if quote[0] == '\\' && at+1 < len(text) {
		quote = text[at : at+2]
	}
	if !isQuote(quote[len(quote)-1]) {
		return v, 0
	}
	start := at + len(quote)
	n := bytes.Index(text[start:], quote)
	if n < 0 {
		return v, len(text)
	}
	return span{start, start + n, true}, start + n + len(quote)
}
