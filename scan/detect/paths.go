package detect

// Keeps tells whether credentials are usually kept in a file of this path, which has slashes and none in front.
func Keeps(path string) bool { return len(formatsFor(path)) > 0 }
