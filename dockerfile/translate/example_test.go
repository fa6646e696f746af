package translate_test

import (
	"fmt"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

func ExampleFor() {
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM debian\nRUN <<EOF\nmake\nmake install\nEOF\nCMD [\"app\"]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := translate.For(translate.Builder{Mounts: true, SecretEnv: true}, f, translate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(r.Dockerfile))
	// Output:
	// FROM debian
	// RUN ["/bin/sh","-c","make\nmake install\n"]
	// CMD ["app"]
}
