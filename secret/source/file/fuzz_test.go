package file

import (
	"strconv"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"A=1\nB='x'", `{"a": {"b": 1}}`, "a: &a {<<: *a, b: {<<: *a}}\n", "a:\n  b: c\n", "a: &x {b: *x}\n", "? ?", "export A=\"x\\n\ny\" # z", "[a]\nb = 1979-05-27\n[[c]]\n", "[a]\nb: x\n y\n"} {
		f.Add(seed, "a.b")
	}
	f.Fuzz(func(t *testing.T, content, key string) {
		root, err := parse("", []byte(content))
		if err != nil {
			return
		}
		for _, k := range root.keys() {
			if _, ok := lookup(root, k); !ok {
				t.Errorf("the key %q is listed but not found", k)
			}
		}
		if n, ok := lookup(root, key); ok {
			_, _ = n.text()
		}
	})
}

func FuzzDotenv(f *testing.F) {
	f.Add("value")
	f.Add("two\nlines\r\n")
	f.Add(`q"'\$` + "`")
	f.Fuzz(func(t *testing.T, value string) {
		quoted := "\""
		for _, c := range []byte(value) {
			if c == '"' || c == '\\' || c == '$' || c == '`' {
				quoted += `\`
			}
			quoted += string([]byte{c})
		}
		for _, line := range []string{"A=1\nB=" + quoted + "\"\nC=3", "# c\nexport B = " + quoted + "\" # c\r\nC='3'"} {
			root, err := parse("", []byte(line))
			if err != nil {
				t.Fatalf("%v in %s", err, strconv.Quote(line))
			}
			vars := root.(envNode)
			if vars["B"] != value || vars["C"] != "3" {
				t.Errorf("got %q and %q from %s", vars["B"], vars["C"], strconv.Quote(line))
			}
		}
	})
}
