// Command tightlip builds images with secrets, and proves that none is in them.
package main

import (
	"context"
	"os"

	"github.com/tightlip/tightlip/internal/cli"
	_ "github.com/tightlip/tightlip/internal/quickstart" // commands start faster
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
