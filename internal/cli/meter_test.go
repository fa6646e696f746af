package cli

import "testing"

func TestMeterParts(t *testing.T) {
	m := &meter{quiet: true}
	one, two := m.part(), m.part()
	for _, show := range []func(){func() { one(10) }, func() { two(5) }, func() { one(25) }, func() { two(7) }} {
		show()
	}
	if got := m.total.Load(); got != 32 {
		t.Errorf("two searches of 25 and 7 bytes are shown as %d", got)
	}
}
