package broker_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/tightlip/tightlip/broker"
)

func ExampleServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := broker.New(broker.Options{
		Secrets: values{"npm": []byte("a token")},
		Audit:   func(e broker.Event) { fmt.Printf("%s %q: %d\n", e.Kind, e.ID, e.Status) },
	})
	defer s.Close()
	go func() { _ = s.Serve(l) }()

	resp, err := http.Get("http://" + l.Addr().String() + "/" + s.Ticket() + "/secret/npm")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	value, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v\n", value, err)
	// Output:
	// secret "npm": 200
	// a token <nil>
}
