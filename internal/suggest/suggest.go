// Package suggest finds the word a user probably meant.
package suggest

import "strings"

// Nearest returns the word of known that word is a likely misspelling of, or "" if none is close.
//
// Close means one edit for every three letters of the longer word, and at least one edit in any case. Letter case does not count.
// Of equally close words the first of known wins.
func Nearest(word string, known []string) string {
	best, nearest := -1, ""
	for _, k := range known {
		limit := max(1, max(len(word), len(k))/3)
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d <= limit && d < len(k) && (best < 0 || d < best) {
			best, nearest = d, k
		}
	}
	return nearest
}

// DidYouMean is the question to append to a message about word, such as `; did you mean "from"?`, or "" if no word of known is close.
func DidYouMean(word string, known []string) string {
	if n := Nearest(word, known); n != "" {
		return `; did you mean "` + n + `"?`
	}
	return ""
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	var before []int // the row above prev, needed for swaps
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}
