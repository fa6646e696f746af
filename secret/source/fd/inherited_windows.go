package fd

// inherited reports that no descriptor was: Windows passes none but the standard ones.
func inherited(int) bool { return false }
