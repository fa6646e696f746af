package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// talkative prints the secret, and keeps it out of the image.
const talkative = base + "RUN --mount=type=secret,id=npm cat /run/secrets/npm\n"

// recordsWith counts the builder's records whose logs hold a value.
func recordsWith(t *testing.T, docker *enginetest.Docker, value string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	api, err := dockerclient.New(dockerclient.WithHost(docker.Host))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	c, err := client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return api.DialHijack(ctx, "/grpc", "h2c", nil)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	events, err := c.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		if event.Record != nil && strings.Contains(logsOf(t, ctx, c, event.Record.Ref), value) {
			count++
		}
	}
}

func logsOf(t *testing.T, ctx context.Context, c *client.Client, ref string) string {
	t.Helper()
	stream, err := c.ControlClient().Status(ctx, &controlapi.StatusRequest{Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for {
		status, err := stream.Recv()
		if err != nil { // the record of a failed build ends with an error
			return text.String()
		}
		for _, l := range status.Logs {
			text.Write(l.Msg)
		}
	}
}

// TestProveHistory finds what a step printed in the builder's record, and wants the record deleted.
func TestProveHistory(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, talkative)
	r := buildWith(b, "docker", "-t", "talkative", "--prove-history", "--format", "json")
	wantCode(t, r, 3)
	o := parse(t, r)
	if len(o.Findings) == 0 || o.Findings[0].Where != "record" || o.Findings[0].Secret != "npm" {
		t.Errorf("found %+v", o.Findings)
	}
	enginetest.NoTraces(t, "the output", r.All(), value)
	if n := recordsWith(t, docker, value); n != 0 {
		t.Errorf("%d records hold the value", n)
	}
	if names := b.Docker("images", "-q", "talkative"); names != "" {
		t.Error("the image has its name")
	}

	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "docker", "-t", "talkative", "--prove-history"), 0)
	b.Docker("rmi", "-f", "talkative")
}

// TestHistoryNote wants to be told that the record is not searched without the flag. It also shows that recordsWith can find
// something.
func TestHistoryNote(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, talkative)
	r := buildWith(b, "docker", "-t", "talkative")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "--prove-history")
	if n := recordsWith(t, docker, value); n != 1 {
		t.Errorf("%d records hold the value, not 1", n)
	}
	b.Docker("rmi", "-f", "talkative")
}

// TestProveHistoryEmbedded has nothing to find: the embedded engine keeps no records.
func TestProveHistoryEmbedded(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, talkative)
	r := buildWith(b, "embedded", "--prove-history")
	wantCode(t, r, 0)
	if strings.Contains(r.Stderr, "history, where") {
		t.Errorf("a note on a history that there is not:\n%s", r.Stderr)
	}
	enginetest.NoTracesIn(t, b.Dir, value)
}

// TestProveModes wants the image named in spite of a leak, with and without its being said.
func TestProveModes(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, leakyFile)
		r := buildWith(b, e.name, "--prove=warn", "-t", "warned", "--format", "json", "-o", "type=tar,dest=out.tar")
		wantCode(t, r, 0)
		if o := parse(t, r); !o.Named || len(o.Findings) == 0 || o.Proof.Verdict != "leaked" {
			t.Errorf("the report says %+v", o)
		}
		members(t, b.Work+"/out.tar")
		r = buildWith(b, e.name, "--prove=off", "-t", "unproven", "--format", "json", "-o", "type=tar,dest=out.tar")
		wantCode(t, r, 0)
		if o := parse(t, r); !o.Named || len(o.Findings) != 0 || o.Proof != nil {
			t.Errorf("the report says %+v", o)
		}
	})
}
