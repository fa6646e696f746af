package scan_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"

	"github.com/tightlip/tightlip/scan"
)

// lister prints the names of what it is shown.
type lister struct{}

func (lister) Stream(scan.Path) scan.Sink    { return lister{} }
func (lister) Unread(p scan.Path, why error) { fmt.Println("unread:", p, why) }
func (lister) Write([]byte)                  {}
func (lister) Member(p scan.Path, _ int64)   {}
func (lister) Close()                        {}
func (lister) Text(field, value string)      { fmt.Println(field, value) }

func Example() {
	var layer bytes.Buffer
	packed := gzip.NewWriter(&layer)
	archive := tar.NewWriter(packed)
	_ = archive.WriteHeader(&tar.Header{Name: "etc/motd", Size: 5, Uname: "root"})
	_, _ = archive.Write([]byte("hello"))
	_ = archive.WriteHeader(&tar.Header{Name: "bin/sh", Linkname: "bash", Typeflag: tar.TypeSymlink})
	_ = archive.Close()
	_ = packed.Close()

	err := scan.Walk(context.Background(), &layer, "", lister{}, scan.Limits{MustUnpack: true})
	fmt.Println(err)
	// Output:
	// name etc/motd
	// user root
	// name bin/sh
	// link bash
	// <nil>
}
