package image

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxBreaks is how often in a row an answer may break off without one more byte.
const maxBreaks = 5

// firstPause is the time before an answer that broke off is asked for again. It doubles with every break in a row.
var firstPause = 200 * time.Millisecond

// resuming is the body of the answer to req. Where the connection breaks off, it goes on with the rest; a server that has no ranges
// leaves the error as it was. What is read that way still needs its digest checked.
func resuming(client *http.Client, req *http.Request, resp *http.Response) io.ReadCloser {
	if resp.Uncompressed { // a range would be one of other bytes
		return resp.Body
	}
	return &resumed{client: client, req: req, body: resp.Body, size: resp.ContentLength}
}

type resumed struct {
	client *http.Client
	req    *http.Request
	body   io.ReadCloser
	at     int64
	size   int64 // -1 if unknown
	breaks int   // since the last byte
}

func (r *resumed) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.at += int64(n)
	if n > 0 {
		r.breaks = 0
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, r.resume(err)
}

func (r *resumed) Close() error { return r.body.Close() }

// resume opens the rest. If it cannot be had, the error is why the reading broke off.
func (r *resumed) resume(cause error) error {
	ctx := r.req.Context()
	for r.breaks < maxBreaks {
		pause := firstPause << r.breaks
		r.breaks++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		req := r.req.Clone(ctx)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.at))
		resp, err := r.client.Do(req)
		if err != nil {
			continue
		}
		if !r.isRest(resp) {
			resp.Body.Close()
			return cause
		}
		r.body.Close()
		r.body = resp.Body
		return nil
	}
	return cause
}

// isRest tells whether an answer has all that is missing. See RFC 9110, section 14.4.
func (r *resumed) isRest(resp *http.Response) bool {
	var from, to, total int64
	_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total)
	return err == nil && resp.StatusCode == http.StatusPartialContent && from == r.at && to == total-1 && (r.size < 0 || r.size == total)
}
