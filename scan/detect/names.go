package detect

// SecretName tells whether a setting of this name holds a secret, and not something about one.
func SecretName(name string) bool { return secretName(name) }

// Placeholder tells whether a value only stands for one: it is empty, a variable, or a word like "changeme".
func Placeholder(value string) bool { return placeholder(value) }

// InAddress tells whether an address or a connection string in a value has a password: user:password@host, or Server=…;Password=…. A password of a letter
// or two is one; what stands for a password is none.
func InAddress(value string) (found bool) {
	readURLs([]byte(value), func(p pair) bool {
		found = p.value != "" && !references().MatchString(p.value) && (len(p.value) < 3 || !placeholder(p.value))
		return !found
	})
	return found || connection("", value).to > 0
}
