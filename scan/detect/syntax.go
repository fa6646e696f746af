package detect

// pair is one setting of a file.
type pair struct {
	key   string // the whole way to it, with dots: "auths.registry.corp.example.auth"; list elements have no name: "users..token"
	value string // without quotes and escapes
	start int    // where the value stands in the text, in bytes, without its quotes
	end   int
}

// A reader gives the settings of a file to yield, in order, until yield returns false. It reads as far as it can: files may be
// cut off or broken, and a reader never fails, panics or takes more than linear time.
type reader func(text []byte, yield func(pair) bool)
