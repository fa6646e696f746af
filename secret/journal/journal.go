// Package journal remembers on disk which credentials were minted, by their ids and never their values, until they are dead.
//
// Each process has a file of its own, with a lock that ends with it. What a process that was killed left there is for Reap to end.
package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/secret"
)

const (
	pattern = "*.jsonl"
	lockExt = ".lock"
)

// line is what a file has a line of for each thing that happens to a lease. Later lines complete and replace earlier ones.
type line struct {
	Lease   int       `json:"lease"` // its number in the file
	State   state     `json:"state"`
	Ref     string    `json:"reference,omitempty"`
	Dir     string    `json:"dir,omitempty"` // where relative paths in the reference begin
	Name    string    `json:"name,omitempty"`
	ID      string    `json:"id,omitempty"`
	With    string    `json:"with,omitempty"` // secret.Lease.With
	Expires time.Time `json:"expires,omitzero"`
	Time    time.Time `json:"time"`
}

type state string

const (
	minting state = "minting"
	minted  state = "minted"
	ended   state = "ended"
)

// Journal is the file of this process. It makes the file when there is something to write. It is safe for concurrent use.
type Journal struct {
	folder, dir string

	mu     sync.Mutex
	name   string
	file   *os.File
	unlock func()
	leases int
	open   int // that have not ended
}

// New returns a journal in a folder. Relative paths in references begin at dir.
func New(folder, dir string) *Journal { return &Journal{folder: folder, dir: dir} }

// Begin implements secret.Journal.
func (j *Journal) Begin(ref secret.Ref, m secret.Minted) (secret.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.create(); err != nil {
		return nil, err
	}
	j.leases++
	r := &record{journal: j, lease: j.leases}
	if err := j.write(line{Lease: r.lease, State: minting, Ref: ref.String(), Dir: cmp.Or(ref.Dir, j.dir), Name: m.Name}); err != nil {
		return nil, err
	}
	j.open++
	return r, nil
}

// create makes the file, and its lock first: who sees the file without the lock being held takes it for one that was left.
func (j *Journal) create() error {
	if j.file != nil {
		return nil
	}
	if j.folder == "" {
		return errors.New("there is no folder for it: set TIGHTLIP_STATE_DIR")
	}
	if err := os.MkdirAll(j.folder, 0o700); err != nil {
		return err
	}
	name := filepath.Join(j.folder, strings.ToLower(rand.Text())+filepath.Ext(pattern))
	unlock, err := lockfile.Lock(name + lockExt)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		err = syncFolder(j.folder)
	}
	if err != nil {
		unlock()
		return err
	}
	j.name, j.file, j.unlock = name, f, unlock
	return nil
}

// write is on disk when it returns.
func (j *Journal) write(l line) error {
	l.Time = time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	before, err := j.file.Stat()
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(text, '\n')); err != nil {
		return errors.Join(err, j.file.Truncate(before.Size())) // a full disk leaves no half of a line
	}
	return j.file.Sync()
}

// Close removes the file if all of its leases have ended, and leaves it to Reap otherwise.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	if j.open == 0 {
		err = errors.Join(err, os.Remove(j.name), os.Remove(j.name+lockExt))
	}
	j.unlock()
	j.file = nil
	return err
}

// record is one lease.
type record struct {
	journal *Journal
	lease   int
}

// Minted implements secret.Record.
func (r *record) Minted(m secret.Minted) error {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	return r.journal.write(line{Lease: r.lease, State: minted, ID: m.ID, With: m.With, Expires: m.Expires.UTC()})
}

// Ended implements secret.Record.
func (r *record) Ended() error {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	if r.journal.file == nil {
		return os.ErrClosed
	}
	r.journal.open--
	return r.journal.write(line{Lease: r.lease, State: ended})
}

// read returns what a file tells of the leases that have not ended, and the size in bytes of the lines that are whole. A last line that
// was cut off tells nothing.
func read(name string) (open []line, whole int64, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	leases := map[int]*line{}
	var order []int
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, 0, fmt.Errorf("%s: line %d: %w", name, n, err)
		}
		known := leases[l.Lease]
		switch {
		case l.State == ended:
			delete(leases, l.Lease)
		case known != nil:
			known.State, known.ID, known.With, known.Expires = l.State, l.ID, l.With, l.Expires
		case l.State == minting:
			leases[l.Lease] = &l
			order = append(order, l.Lease)
		}
	}
	for _, n := range order {
		if l := leases[n]; l != nil {
			open = append(open, *l)
		}
	}
	return open, int64(len(data)), lines.Err()
}
