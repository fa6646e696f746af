// Package lazy makes what is costly to make when it is used first: most commands use little of the program.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp is a pattern that is compiled at its first use. It panics then if it is none.
func Regexp(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
