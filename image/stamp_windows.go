package image

import (
	"fmt"
	"os"
)

// stamp tells the state of a file as well as Windows does.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Sprintf("unknown %s %v", path, err)
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}
