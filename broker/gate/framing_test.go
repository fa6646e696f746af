package gate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// FuzzFraming wants net/http to see the same requests in what is accepted.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", "GET http://a/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 1 {
			return
		}
		ours := &framing{}
		whole := true // the data ends where a request does
		for rest := data; len(rest) > 0; {
			n := min(size, len(rest))
			if err := ours.feed(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		if ours.state != inHead || len(ours.line) > 0 {
			whole = false
		}
		if !whole {
			return
		}
		if err := asHTTP(data); err != nil && !errors.Is(err, errTheirs) {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// errTheirs is for what only net/http refuses, which is its right.
var errTheirs = errors.New("net/http refuses it")

// asHTTP reads requests up to the end, which must be one's end.
func asHTTP(data []byte) error {
	r := bufio.NewReader(bytes.NewReader(data))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		req, err := http.ReadRequest(r)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if err != nil || req.Method == http.MethodConnect {
			return errTheirs
		}
		if _, err := io.Copy(io.Discard, req.Body); errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		} else if err != nil {
			return errTheirs
		}
		if len(req.Trailer) > 0 {
			return errors.New("there are trailers")
		}
	}
}
