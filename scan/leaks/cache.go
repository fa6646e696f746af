package leaks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/tightlip/tightlip/internal/cachedir"
	"github.com/tightlip/tightlip/scan/detect"
)

// Cache remembers what was found in layers, by their digests and the version of the rules. It holds what reports hold, and no
// values. Nil remembers nothing. Searches at the same time that share one read a blob that they share once.
type Cache struct {
	dir   cachedir.Dir
	rules string

	mu      sync.Mutex
	reading map[string]chan struct{} // what a search is reading now, by name; closed when it has
}

// version changes whenever the walk shows more than before, or an entry has another shape.
const version = "tightlip leaks v2"

// OpenCache opens the cache in a folder, and makes it if it is missing. rules names the user's own rules; it is "" without any.
func OpenCache(dir, rules string) (*Cache, error) {
	entries, err := cachedir.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the cache of scans: %w", err)
	}
	return &Cache{dir: entries, rules: rules, reading: map[string]chan struct{}{}}, nil
}

// record is what is known of a layer.
type record struct {
	Size, Files, Bytes int64
	Leaks              []leak
	Entries            entries
}

// name is the entry about a blob; "" if it has nothing to tell it from another.
func (c *Cache) name(p *piece) string {
	if c == nil || p.blob.Digest == "" || !p.blob.MustUnpack {
		return ""
	}
	sum := sha256.Sum256([]byte(version + "\x00" + detect.Version + "\x00" + c.rules + "\x00" + p.blob.Digest + "\x00" + p.blob.Stamp))
	return hex.EncodeToString(sum[:16])
}

// claim waits as long as another search reads the same blob, and then has others wait until release is called.
func (c *Cache) claim(ctx context.Context, p *piece) (release func()) {
	name := c.name(p)
	for name != "" && ctx.Err() == nil {
		c.mu.Lock()
		others, busy := c.reading[name]
		if !busy {
			done := make(chan struct{})
			c.reading[name] = done
			c.mu.Unlock()
			return func() { c.release(name, done) }
		}
		c.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
		}
	}
	return func() {}
}

func (c *Cache) release(name string, done chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reading, name)
	close(done)
}

// load fills in what is known of a blob.
func (c *Cache) load(p *piece, budget *Budget) bool {
	name := c.name(p)
	if name == "" {
		return false
	}
	data, err := c.dir.Read(name)
	var r record
	if err != nil || gob.NewDecoder(bytes.NewReader(data)).Decode(&r) != nil {
		return false
	}
	p.leaks, p.entries, p.files, p.bytes, p.cached = r.Leaks, &r.Entries, r.Files, r.Bytes, true
	if p.size < 0 {
		p.size = r.Size
	}
	p.entries.budget = budget
	if !p.entries.keep(p.entries.size()) {
		p.entries.drop()
		p.gaps = append(p.gaps, gap{Reason: tooManyEntries})
	}
	return true
}

// maxRecord bounds the entries of a layer that is remembered: a record is made in memory.
const maxRecord = 1 << 20

// store remembers a blob of which everything was read. A cache that cannot be written is only slow.
func (c *Cache) store(p *piece) {
	name := c.name(p)
	if name == "" || len(p.gaps) > 0 || p.entries == nil || p.entries.size() > maxRecord {
		return
	}
	var buf bytes.Buffer
	if gob.NewEncoder(&buf).Encode(record{p.size, p.files, p.bytes, p.leaks, *p.entries}) != nil {
		return
	}
	c.dir.Write(name, buf.Bytes())
}
