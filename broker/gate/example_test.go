package gate_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/secret"
)

func Example() {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "authorized:", r.Header.Get("Authorization") == "Bearer a long token")
	}))
	defer registry.Close()
	route, err := gate.ParseRoute("npm=" + registry.URL + ":bearer")
	if err != nil {
		log.Fatal(err)
	}
	g, err := gate.New(gate.Options{
		Policy:  gate.Policy{Seal: true, Routes: []gate.Route{route}},
		Secrets: map[string]secret.Value{"npm": secret.NewValue([]byte("a long token"))},
		Audit:   func(e gate.Event) { fmt.Println(e.Verdict, e.Method, e.Path, e.Secret) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = g.ServeForward(l) }()

	proxy, err := url.Parse(g.ProxyURL(l.Addr().String(), ""))
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		req, err := http.NewRequest(method, registry.URL+"/left-pad", nil)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			fmt.Printf("%s", body)
		}
	}
	// Unordered output:
	// authorized: true
	// allowed GET /left-pad npm
	// refused DELETE /left-pad npm
}
