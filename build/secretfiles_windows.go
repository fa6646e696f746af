package build

// ownFile knows of no file: a lock that is held cannot be told from one that is free.
func ownFile(string) bool { return false }
