package buildtest

import (
	"testing"

	"github.com/tightlip/tightlip/secret/secrettest"
)

func canary(t *testing.T) string { return string(secrettest.Canary(t)) }

func leakIn(text, value string) string { return secrettest.Leak(text, []byte(value)) }
