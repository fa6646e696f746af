package web_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/web"
)

func serve(t *testing.T, h http.HandlerFunc) *web.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &web.Client{Who: "the store", Base: s.URL + "/"}
}

func TestAnswer(t *testing.T) {
	token := secrettest.Canary(t)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+string(token) || r.URL.String() != "/v1/a%2Fb?x=y" || r.Method != http.MethodGet {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		fmt.Fprint(w, `{"value": "v"}`)
	})
	c.Auth = web.Bearer(secret.NewValue(append(token, '\n')))
	var got struct{ Value string }
	if err := c.Do(t.Context(), web.Call{Path: "/v1/a%2Fb?x=y", Into: &got}); err != nil || got.Value != "v" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		once   bool
		want   int32 // calls
	}{
		{"unavailable", http.StatusServiceUnavailable, false, 2},
		{"unavailable, once", http.StatusServiceUnavailable, true, 1},
		{"too many", http.StatusTooManyRequests, true, 2},
		{"refused", http.StatusForbidden, false, 1},
		{"not found", http.StatusNotFound, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if calls.Add(1) == 1 {
					w.Header().Set("Retry-After", "0")
					w.WriteHeader(test.status)
				}
			})
			err := c.Do(t.Context(), web.Call{Method: http.MethodPost, Once: test.once, Needs: "a grant"})
			if got := calls.Load(); got != test.want || (err == nil) != (test.want == 2) {
				t.Errorf("%d calls, %v", got, err)
			}
			if err != nil && web.StatusOf(err) != test.status {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	value := secrettest.Canary(t)
	for status, want := range map[int]string{
		401: "the store answered 401 Unauthorized: needs read on x",
		403: "the store answered 403 Forbidden: needs read on x",
		404: "the store answered 404 Not Found",
		302: "the store answered 302 Found",
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://store.corp.example/"+string(value))
			w.WriteHeader(status)
			_, _ = w.Write(value)
		})
		err := c.Do(t.Context(), web.Call{Needs: "read on x"})
		if err == nil || err.Error() != want || errors.Is(err, secret.ErrNotFound) != (status == 404) {
			t.Errorf("%d: got %v", status, err)
		}
	}
	malformed := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"value": %s`, value) })
	err := malformed.Do(t.Context(), web.Call{Into: new(struct{ Value string })})
	if !errors.Is(err, web.ErrMalformed) || secrettest.Leak(err.Error(), value) != "" {
		t.Error("a malformed answer is no error, or the error shows it")
	}
	closed := &web.Client{Who: "the store", Base: "http://127.0.0.1:1"}
	err = closed.Do(t.Context(), web.Call{Path: "/" + url.PathEscape(string(value)), Once: true})
	if err == nil || !strings.Contains(err.Error(), "connection refused") || secrettest.Leak(err.Error(), value) != "" {
		t.Errorf("got %v", err)
	}
}

func TestUnencrypted(t *testing.T) {
	for _, base := range []string{"http://store.corp.example", "store.corp.example", "ftp://127.0.0.1", "https://u:p@store.corp.example", ""} {
		err := (&web.Client{Who: "the store", Base: base}).Do(t.Context(), web.Call{})
		if _, ok := errors.AsType[*secret.SyntaxError](err); !ok {
			t.Errorf("%s: got %v", base, err)
		}
		if err := (&web.Client{Who: "the store", Base: base}).Check(); err == nil {
			t.Errorf("%s: was not refused before", base)
		}
	}
}

func TestCancelled(t *testing.T) {
	release := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Do(ctx, web.Call{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestRedirectWithin(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusFound)
			return
		}
		fmt.Fprint(w, "there")
	})
	var got []byte
	if err := c.Do(t.Context(), web.Call{Path: "/a", Into: &got}); err != nil || string(got) != "there" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMeans(t *testing.T) {
	value := secrettest.Canary(t)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"type":"Missing","what":"%s"}`, value)
	})
	c.Means = func(status int, body []byte) (int, string) {
		if status == http.StatusBadRequest && strings.Contains(string(body), `"Missing"`) {
			return http.StatusNotFound, "Missing"
		}
		return 0, ""
	}
	err := c.Do(t.Context(), web.Call{})
	if !errors.Is(err, secret.ErrNotFound) || err.Error() != "the store answered 404 Not Found: Missing" {
		t.Errorf("got %v", err)
	}
}

func TestTrusting(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	trusting, err := web.Trusting(authority)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&web.Client{Who: "the store", Base: s.URL, HTTP: trusting}).Do(t.Context(), web.Call{}); err != nil {
		t.Error(err)
	}
	if err := (&web.Client{Who: "the store", Base: s.URL}).Do(t.Context(), web.Call{Once: true}); err == nil {
		t.Error("trusts an authority that it does not know")
	}
	if _, err := web.Trusting([]byte("x")); !errors.Is(err, web.ErrNoCertificate) {
		t.Errorf("got %v", err)
	}
}

func TestSealed(t *testing.T) {
	value := secrettest.Canary(t)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"text": %q, "data": %q}`, value, base64.StdEncoding.EncodeToString(value))
	})
	var got struct {
		Text web.Text
		Data web.Base64
	}
	if err := c.Do(t.Context(), web.Call{Into: &got}); err != nil {
		t.Fatal(err)
	}
	if string(got.Text.Open()) != string(value) || string(got.Data.Open()) != string(value) {
		t.Error("the values differ")
	}
	if form := secrettest.Leak(fmt.Sprintf("%v %+v %#v", got, got, got), value); form != "" {
		t.Errorf("printing the answer shows the value: %s", form)
	}
}

// TestEffect has calls that make something, and those that surely made nothing.
func TestEffect(t *testing.T) {
	for status, want := range map[int]bool{200: true, 302: true, 400: false, 403: false, 408: true, 429: false, 500: true, 503: true, 0: true} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if status == 0 {
				panic(http.ErrAbortHandler) // hangs up
			}
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(status)
		})
		for _, once := range []bool{true, false} {
			var e web.Effect
			err := c.Do(web.Watch(t.Context(), &e), web.Call{Method: http.MethodPost, Once: once})
			if got := e.Possible(); got != (want && once) || (err == nil) != (status == 200) {
				t.Errorf("%d, once %t: possible %t, %v", status, once, got, err)
			}
		}
	}
	var e web.Effect
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	c.Means = func(int, []byte) (int, string) { return http.StatusInternalServerError, "InternalServerError" }
	if err := c.Do(web.Watch(t.Context(), &e), web.Call{Once: true}); err == nil || !e.Possible() {
		t.Errorf("a 400 that means 500: possible %t, %v", e.Possible(), err)
	}
}
