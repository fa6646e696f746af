//go:build unix

package gate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ways are the ways to the same origin, all with TLS: straight, through the forward door, and through nginx as a reverse proxy that
// adds a header and speaks TLS with the origin.
func ways(b *testing.B, w *world) map[string]func(path string) (*http.Response, error) {
	b.Helper()
	straight := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.pool(), ServerName: "npm.corp.example"}}}
	forward := w.client()
	out := map[string]func(string) (*http.Response, error){
		"direct":  func(path string) (*http.Response, error) { return straight.Get(w.npm.URL + path) },
		"forward": func(path string) (*http.Response, error) { return forward.Get("https://npm.corp.example" + path) },
	}
	if address := startNginx(b, w); address != "" {
		out["nginx"] = func(path string) (*http.Response, error) { return straight.Get("https://" + address + path) }
	}
	return out
}

// startNginx starts the reverse proxy, if nginx is installed.
func startNginx(b *testing.B, w *world) string {
	b.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		b.Log("nginx is not installed: no comparison with it")
		return ""
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := b.TempDir()
	cert := w.ca.issue(b, "npm.corp.example")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	write("cert.pem", block("CERTIFICATE", cert.Certificate[0]))
	write("key.pem", block("PRIVATE KEY", key))
	write("ca.pem", block("CERTIFICATE", w.ca.cert.Raw))
	config := write("nginx.conf", fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/pid; error_log stderr crit; %[4]s
events { worker_connections 64; }
http { access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
upstream up { server %[3]s; keepalive 16; }
server { listen %[2]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
location / { proxy_pass https://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer x"; proxy_max_temp_file_size 0;
proxy_ssl_verify on; proxy_ssl_trusted_certificate %[1]s/ca.pem; proxy_ssl_name npm.corp.example; proxy_ssl_server_name on; } } }
`, dir, address, w.npm.Listener.Addr(), asRoot()))
	cmd := exec.Command(nginx, "-e", "stderr", "-c", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("nginx does not answer")
	return ""
}

// asRoot keeps nginx's workers able to read their files.
func asRoot() string {
	if os.Geteuid() == 0 {
		return "user root;"
	}
	return ""
}

// BenchmarkThroughput downloads 64 MiB at a time.
func BenchmarkThroughput(b *testing.B) {
	const size = 64 << 20
	w := newWorld(b, nil)
	block := randomBytes(1 << 20)
	w.npm.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(size))
		for range size / len(block) {
			_, _ = rw.Write(block)
		}
	})
	for name, get := range ways(b, w) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				fetch(b, get, "/repo/x", size)
			}
		})
	}
}

// BenchmarkLatency asks for little, over connections that are there, and tells the median.
func BenchmarkLatency(b *testing.B) {
	w := newWorld(b, nil)
	w.npm.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, strings.Repeat("x", 1000)) })
	for name, get := range ways(b, w) {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				begin := time.Now()
				fetch(b, get, "/repo/x", 1000)
				times = append(times, time.Since(begin))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "µs/median")
		})
	}
}

func fetch(b *testing.B, get func(string) (*http.Response, error), path string, size int64) {
	b.Helper()
	res, err := get(path)
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if err != nil || n != size || res.StatusCode != http.StatusOK {
		b.Fatalf("status %d, %d bytes, %v", res.StatusCode, n, err)
	}
}
