package detect

// SecretName tells whether a setting of this name holds a secret, and not something about one.
func SecretName(name string) bool { return secretName(name) }

// Placeholder tells whether a value only stands for one: it is empty, a variable, or a word like "changeme".
func Placeholder(value string) bool { return placeholder(value) }
