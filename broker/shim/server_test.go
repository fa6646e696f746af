package shim

import (
	"slices"
	"testing"
)

func TestElement(t *testing.T) {
	a := Address{Port: 7913, Ticket: "k3j"}
	if got, ok := parseElement(a.Element()); a.Element() != "tightlip.7913.k3j" || got != a || !ok {
		t.Errorf("%q, %+v, %v", a.Element(), got, ok)
	}
	for _, text := range []string{
		"", "tightlip", "tightlip.", "tightlip.1", "tightlip.1.", "tightlip.0.a", "tightlip.65536.a", "tightlip.-1.a", "tightlip..a",
		"tightlip.1.a.b", "tightlip.1.A", "tightlip.1.a/b", "tightlip.1.a b", "tightlip.1.a\r\n", "Tightlip.1.a", " tightlip.1.a", ".tightlip.1.a",
	} {
		if a, ok := parseElement(text); ok {
			t.Errorf("%q is %+v", text, a)
		}
	}
}

// FuzzFindServer checks that the user's part stays as it is, and that no element of ours is left at the end.
func FuzzFindServer(f *testing.F) {
	f.Add("localhost,.corp.example", "", true)
	f.Add(",", "tightlip.1.a", false)
	f.Fuzz(func(t *testing.T, upper, lower string, both bool) {
		a := Address{Port: 7913, Ticket: "k3j"}
		env := []string{"A=b", "NO_PROXY=" + upper + "," + a.Element()}
		want := []string{"A=b"}
		if upper != "" {
			want = append(want, "NO_PROXY="+upper)
		}
		if both {
			env = append(env, "no_proxy="+lower+","+a.Element())
			if lower != "" {
				want = append(want, "no_proxy="+lower)
			}
		}
		got, rest, err := findServer(env)
		if got != a || !slices.Equal(rest, want) || err != nil {
			t.Errorf("%+v, %q, %v, want %q", got, rest, err, want)
		}
	})
}
