package image

import "time"

// SetFirstPause changes how long a blob that broke off is left alone, and returns a function that changes it back.
func SetFirstPause(d time.Duration) (back func()) {
	before := firstPause
	firstPause = d
	return func() { firstPause = before }
}
