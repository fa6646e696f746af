package image_test

import (
	"archive/tar"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/image"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("127.0.0.1 localhost\n"), 0o600); err != nil {
		log.Fatal(err)
	}

	ref, err := image.ParseRef("dir:" + dir)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	im, err := image.Open(ctx, ref, image.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer im.Close()
	for b, err := range im.Blobs(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(b.Kind, b.Path, b.Size)
	}
	// Output:
	// file . 0
	// file hosts 20
}

func ExampleHides() {
	hides, deleted := image.Hides(&tar.Header{Name: "root/.wh..npmrc"}, "/root/.npmrc")
	fmt.Println(hides, deleted)
	// Output: true true
}
