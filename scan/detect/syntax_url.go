package detect

import (
	"bytes"
	"net/url"
	"strings"
)

// readURLs finds the passwords in addresses, scheme://user:password@host, wherever they stand: "scheme://host".
func readURLs(text []byte, yield func(pair) bool) {
	for at := 0; ; {
		n := bytes.Index(text[at:], []byte("://"))
		if n < 0 {
			return
		}
		at += n
		if p, ok := userinfo(text, at); ok && !yield(p) {
			return
		}
		at += len("://")
	}
}

const (
	maxScheme    = 24
	maxAuthority = 2 << 10
	minUser      = 16 // of a token in the place of the user
)

// userinfo reads the address whose "://" is at a place. Some services take a token as the user, with a password that means nothing.
func userinfo(text []byte, at int) (pair, bool) {
	start := at
	for start > 0 && at-start < maxScheme && (isAlnum(text[start-1]) || strings.IndexByte("+-.", text[start-1]) >= 0) {
		start--
	}
	from := at + len("://")
	end := from
	for end < len(text) && end-from < maxAuthority && text[end] > ' ' && strings.IndexByte("\"'`<>/?#\\|", text[end]) < 0 {
		end++
	}
	host := bytes.LastIndexByte(text[from:end], '@')
	colon := bytes.IndexByte(text[from:end], ':')
	if host < 0 || colon < 0 || colon > host {
		return pair{}, false
	}
	first, last := from+colon+1, from+host
	if password := string(text[first:last]); (password == "" || password == "x-oauth-basic") && colon >= minUser {
		first, last = from, from+colon
	}
	name := text[from+host+1 : end]
	if n := bytes.IndexAny(name, ",;) "); n >= 0 {
		name = name[:n]
	}
	p := pair{key: join("", string(text[start:from])+string(name)), value: string(text[first:last]), start: first, end: last}
	if value, err := url.PathUnescape(p.value); err == nil {
		p.value = value
	}
	return p, true
}

// readChannels finds the tokens in addresses of conda channels: https://host/t/TOKEN/channel.
func readChannels(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		scheme := bytes.Index(text[start:end], []byte("://"))
		if scheme < 0 {
			continue
		}
		from := start + scheme + len("://")
		mark := bytes.Index(text[from:end], []byte("/t/"))
		if mark < 0 {
			continue
		}
		host := string(text[from+bytes.LastIndexByte(text[from:from+mark], '@')+1 : from+mark])
		from += mark + len("/t/")
		to := from
		for to < end && (isAlnum(text[to]) || strings.IndexByte("-_${}<>.%", text[to]) >= 0) {
			to++
		}
		if to > from && !yield(pair{join("", host), string(text[from:to]), from, to}) {
			return
		}
	}
}
