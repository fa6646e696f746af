package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Verdict is what became of a request.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed" // it went to a declared origin with the credential
	Passed  Verdict = "passed"  // it went on untouched
	Refused Verdict = "refused" // it went nowhere, or its response was cut
)

// Event is one request, or one tunnel. It holds no value, no user of a URL and no query.
type Event struct {
	Time    time.Time `json:"time"`
	Step    string    `json:"step"`   // whose ticket it was; may be empty
	Secret  string    `json:"secret"` // the id; empty if none was attached
	Origin  string    `json:"origin"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"`           // of HTTP; 0: none was sent
	Bytes   int64     `json:"bytes"`            // of the response's body, as the client got them
	SHA256  string    `json:"sha256,omitempty"` // of a whole body that a GET got with status 200, in hex
	Millis  float64   `json:"ms"`
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
}

// maxAuditPath bounds, in bytes, what of a path is written down.
const maxAuditPath = 1 << 10

// AuditTo returns an Options.Audit that writes one line of JSON for each event, and remembers the first error.
func AuditTo(w io.Writer) *AuditLog { return &AuditLog{w: w} }

// AuditLog writes events. It is safe for concurrent use.
type AuditLog struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// Write adds an event.
func (l *AuditLog) Write(e Event) {
	line, err := json.Marshal(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		_, err = l.w.Write(append(line, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// Err is the first error of writing.
func (l *AuditLog) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// ReadAudit reads what an AuditLog wrote. A line that is no event is an error that says which.
func ReadAudit(r io.Reader) ([]Event, error) {
	dec := json.NewDecoder(r)
	var events []Event
	for {
		var e Event
		switch err := dec.Decode(&e); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("event %d of the audit is malformed: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
}
