package report_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless chromium with one page, driven over the pipe of its DevTools protocol:
// https://chromedevtools.github.io/devtools-protocol.
type browser struct {
	t       *testing.T
	in      *os.File
	session string
	answers chan answer
	loaded  chan struct{}

	mu         sync.Mutex
	id         int
	requests   []string // what the page asked for
	complaints []string // of the console: errors, exceptions, violations of the policy
}

// answer is a message from the browser: an answer if it has an id, else an event.
type answer struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// chromium starts the browser, or skips the test where there is none.
func chromium(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on PATH: the page is not looked at in a browser")
	}
	// Given to the browser as its descriptors 3 and 4.
	childIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "tightlip-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{childIn, childOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	childIn.Close()
	childOut.Close()
	b := &browser{t: t, in: in, answers: make(chan answer, 100), loaded: make(chan struct{}, 1)}
	go b.read(bufio.NewReader(out))
	t.Cleanup(func() {
		b.session = ""
		b.send("Browser.close", nil)
		cmd.Wait() // it is told to close, or killed by its context
		cancel()
		in.Close()
		out.Close()
		remove(t, profile)
	})
	b.attach()
	return b
}

// remove takes a folder away that processes of the browser may write to for a moment after it.
func remove(t *testing.T, dir string) {
	var err error
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error(err)
}

// attach opens a page and asks for its events.
func (b *browser) attach() {
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
}

// read takes messages, each ended by a zero byte, until the browser closes the pipe.
func (b *browser) read(r *bufio.Reader) {
	defer close(b.answers)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(bytes.TrimSuffix(data, []byte{0}), &a) != nil {
			continue
		}
		if a.ID > 0 {
			b.answers <- a
		} else {
			b.event(a)
		}
	}
}

func (b *browser) event(a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch a.Method {
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(a.Params, &p)
		b.requests = append(b.requests, p.Request.URL)
	case "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled":
		b.complaints = append(b.complaints, string(a.Params))
	case "Page.loadEventFired":
		select {
		case b.loaded <- struct{}{}:
		default:
		}
	}
}

func (b *browser) send(method string, params any) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id++
	m := map[string]any{"id": b.id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	data, _ := json.Marshal(m)
	b.in.Write(append(data, 0))
	return b.id
}

// call waits for the answer to a command.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	id := b.send(method, params)
	for a := range b.answers {
		if a.ID != id {
			continue
		}
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
	b.t.Fatalf("%s: the browser is gone", method)
}

// open loads a page from a file of its own, whose address it returns.
func (b *browser) open(page string) string {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "scan.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.requests, b.complaints = nil, nil
	b.mu.Unlock()
	address := (&url.URL{Scheme: "file", Path: file}).String()
	b.call("Page.navigate", map[string]any{"url": address}, nil)
	select {
	case <-b.loaded:
	case <-time.After(30 * time.Second):
		b.t.Fatal("the page does not load")
	}
	return address
}

// eval is the value of a script's expression.
func (b *browser) eval(format string, args ...any) any {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf(format, args...), "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", format, r.ExceptionDetails)
	}
	return r.Result.Value
}

// key presses a key, such as Tab or Enter.
func (b *browser) key(name string) {
	b.t.Helper()
	codes, texts := map[string]int{"Tab": 9, "Enter": 13, " ": 32}, map[string]string{"Enter": "\r", " ": " "}
	press := map[string]any{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": codes[name], "text": texts[name]}
	b.call("Input.dispatchKeyEvent", press, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": codes[name]}, nil)
}

// write types a text into what has the focus.
func (b *browser) write(text string) {
	b.t.Helper()
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// quiet fails the test if the page asked for anything but itself, or the console has a complaint.
func (b *browser) quiet(address string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) != 1 || b.requests[0] != address {
		b.t.Errorf("the page asked for %.200q", b.requests)
	}
	if len(b.complaints) > 0 {
		b.t.Errorf("the console has:\n%s", strings.Join(b.complaints, "\n"))
	}
}
