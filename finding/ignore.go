package finding

import (
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/internal/lazy"
)

// ignoreComment is a comment in the line of a finding, or above it.
var ignoreComment = lazy.Regexp(`tightlip: ?ignore=([a-z0-9,-]+)(?: until=(\d{4}-\d{2}-\d{2}))?[ \t]+([^\r\n]+)`)

// Ignored is the reason why findings of a rule do not count, as a comment in the text says: "tightlip: ignore=RULE,RULE
// until=2027-01-31 why". It is empty if there is none, or if its day has passed.
func Ignored(text, rule string, now time.Time) string {
	for _, m := range ignoreComment().FindAllStringSubmatch(text, -1) {
		if slices.Contains(strings.Split(m[1], ","), rule) && !Expired(m[2], now) {
			return strings.TrimSpace(m[3])
		}
	}
	return ""
}

// Expired tells whether a day, such as 2027-01-31, has passed. The empty one never does.
func Expired(until string, now time.Time) bool {
	return until != "" && now.Format(time.DateOnly) > until
}
