package e2e

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// BenchmarkBrokerBuild downloads a large file and asks for many small ones in a step, directly and through the broker of each engine. It
// prints what curl measures: MB/s of the one, and the median of the others in ms.
func BenchmarkBrokerBuild(b *testing.B) {
	const size, requests = 512 << 20, 200
	block := make([]byte, 1<<20)
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "small") {
			_, _ = w.Write(block[:100])
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer o.Close()
	const measure = `curl -s -o /dev/null -w 'speed %{speed_download}\n' SERVER/large && for i in $(seq REQUESTS); do u="$u -o /dev/null SERVER/small"; done && ` +
		`curl -s -w 'latency %{time_total}\n' $u | sort -k2 -n | sed -n 'HALFp'`
	script := strings.NewReplacer("SERVER", o.URL, "REQUESTS", strconv.Itoa(requests), "HALF", strconv.Itoa(requests/2)).Replace(measure)
	for _, e := range brokeredEngines {
		if e.flag() != e.name { // another Docker
			continue
		}
		for _, mount := range []string{"", "--mount=type=secret,id=npm "} {
			name := e.name + "/direct"
			if mount != "" {
				name = e.name + "/broker"
			}
			b.Run(name, func(b *testing.B) {
				box := e.box(b)
				project(box, base+"COPY root/ /\nRUN "+mount+script+"\n")
				withPrograms(box, "root", "curl")
				box.Env["NPM_TOKEN"] = enginetest.PlainCanary()
				args := []string{"build", "--engine", e.flag(), "--progress", "plain", "--no-cache", "--network", "host", "--secret", "id=npm,env=NPM_TOKEN"}
				if e.name != "classic" {
					args = append(args, "--allow", "network.host")
				}
				if mount != "" {
					args = append(args, "--broker", "npm="+o.URL+":bearer")
				}
				for range b.N {
					b.StopTimer()
					r := box.Tightlip(append(args, ".")...)
					wantCode(b, r, 0)
					speed, latency := numberAfter(b, r.All(), "speed "), numberAfter(b, r.All(), "latency ")
					b.ReportMetric(speed/1e6, "MB/s")
					b.ReportMetric(latency*1000, "ms/request")
					b.StartTimer()
					time.Sleep(time.Millisecond)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// numberAfter is the number behind a word that is not a part of the script, but printed by it.
func numberAfter(b *testing.B, text, word string) float64 {
	b.Helper()
	for _, line := range strings.Split(text, "\n") {
		if _, rest, ok := strings.Cut(line, word); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
				return n
			}
		}
	}
	b.Fatalf("nothing is printed behind %q:\n%s", word, text)
	return 0
}
