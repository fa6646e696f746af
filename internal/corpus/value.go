package corpus

import (
	"fmt"
	"strings"
)

// Value makes one value for tests that plant secrets themselves. The spec is what stands in a marker, such as "alnum 20",
// "npm" or "human|basic deploy". Like in Write, the same seed and place make the same value, except for keys.
func Value(seed uint64, place, spec string) (string, error) {
	b := &builder{seed: seed}
	parts := strings.Split(spec, "|")
	value := b.filtered(b.value(b.random(place), parts[0]), parts[1:])
	if b.err != nil {
		return "", fmt.Errorf("making a value: %w", b.err)
	}
	return value, nil
}
