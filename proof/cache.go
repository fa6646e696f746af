package proof

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/internal/cachedir"
)

// Cache remembers which blobs were proven free of which needles.
//
// Its entries are named by a MAC of the blob's digest and the needles under a key that only this user can read,
// so that they tell nothing about the values. The zero value and nil remember nothing.
type Cache struct {
	entries cachedir.Dir
	key     []byte
}

// entry is what is known of a proven blob or image.
type entry struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// walkVersion is part of every entry's name. It changes whenever the walk or the matcher look at more than before.
const walkVersion = "tightlip walk v3"

// OpenCache opens the cache in a folder, and makes it with a new key if it is missing.
func OpenCache(dir string) (*Cache, error) {
	entries, err := cachedir.Open(dir, keyName)
	if err != nil {
		return nil, fmt.Errorf("opening the cache of proofs: %w", err)
	}
	key, err := cacheKey(entries.Path(keyName))
	if err != nil {
		return nil, fmt.Errorf("opening the cache of proofs: %w", err)
	}
	return &Cache{entries: entries, key: key}, nil
}

// keyName is the file with the key: it has to stay, or no entry is found again.
const keyName = "key"

const keySize = 32

// cacheKey reads the key, or makes one. Two processes may do so at once: the one that links its file first wins.
func cacheKey(name string) ([]byte, error) {
	key, err := os.ReadFile(name)
	if err == nil && len(key) == keySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		return nil, fmt.Errorf("%s does not hold a key of %d bytes: delete it", name, keySize)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	key = make([]byte, keySize)
	_, _ = rand.Read(key)
	_, err = f.Write(key)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), name); errors.Is(err, fs.ErrExist) {
		return os.ReadFile(name)
	} else if err != nil {
		return nil, err
	}
	return key, nil
}

// Fingerprint is a MAC of data under the cache's key: it tells a change of data and nothing else.
func (c *Cache) Fingerprint(data []byte) string {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte("tightlip fingerprint v1\x00"))
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// mark returns the part of the cache that is about n.
func (c *Cache) mark(n *Needles) *marks {
	if c == nil || c.key == nil {
		return nil
	}
	return &marks{cache: c, needles: n.Fingerprint(c.key)}
}

// marks are a cache's entries about one set of needles. Nil has none.
type marks struct {
	cache   *Cache
	needles [32]byte
}

func (m *marks) file(what string) string {
	mac := hmac.New(sha256.New, m.cache.key)
	mac.Write([]byte(walkVersion))
	mac.Write(m.needles[:])
	mac.Write([]byte(what))
	return hex.EncodeToString(mac.Sum(nil))
}

// get finds what was proven before. What has no name was not.
func (m *marks) get(what string) (entry, bool) {
	var e entry
	if m == nil || what == "" {
		return e, false
	}
	data, err := m.cache.entries.Read(m.file(what))
	return e, err == nil && json.Unmarshal(data, &e) == nil
}

// put remembers something as proven. A cache that cannot be written is only slow.
func (m *marks) put(what string, e entry) {
	if m != nil && what != "" {
		m.write(m.file(what), e)
	}
}

func (m *marks) write(name string, e any) {
	if data, err := json.Marshal(e); err == nil {
		m.cache.entries.Write(name, data)
	}
}

// earlier is where a value of a secret was in a layer, whatever the value is now.
type earlier struct {
	Path   string `json:"path"` // redacted
	File   string `json:"file"` // redacted, as it is called in the layer
	Offset int64  `json:"offset"`
}

// leakFile names the entry about a layer that leaked a value of a secret. It does not depend on the needles.
func (m *marks) leakFile(digest, secret string) string {
	mac := hmac.New(sha256.New, m.cache.key)
	mac.Write([]byte("tightlip leak v1\x00" + digest + "\x00" + secret))
	return hex.EncodeToString(mac.Sum(nil))
}

// leaked finds out whether a layer leaked a value of a secret before.
func (m *marks) leaked(digest, secret string) (e earlier, ok bool) {
	if m == nil || digest == "" {
		return e, false
	}
	data, err := m.cache.entries.Read(m.leakFile(digest, secret))
	return e, err == nil && json.Unmarshal(data, &e) == nil
}

func (m *marks) putLeaked(digest, secret string, e earlier) {
	if m != nil && digest != "" {
		m.write(m.leakFile(digest, secret), e)
	}
}

func (m *marks) forget(digest, secret string) {
	if m != nil && digest != "" {
		m.cache.entries.Remove(m.leakFile(digest, secret))
	}
}
