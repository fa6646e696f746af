package cli

// noCoreDumps does nothing: Windows writes no dumps unless an administrator has asked for them.
func noCoreDumps() {}
