package embedded

// ServeOptions are the flags of the engine's own process.
type ServeOptions struct {
	StateDir       string
	RunDir         string
	CacheLimit     int64
	NoPIDNamespace bool // the process shares its starter's PID namespace
	UserNamespace  bool // the process is in a user namespace of its own, in which it is root
	Mapped         bool // the ids of the user namespace are there
}
