package shim_test

import (
	"os"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TIGHTLIP_TEST_STAGE") != "":
		stage(os.Getenv("TIGHTLIP_TEST_STAGE"))
	case os.Getenv("TIGHTLIP_TEST_KEYS") != "":
		os.Exit(listKeys())
	}
	os.Exit(enginetest.Main(m))
}
