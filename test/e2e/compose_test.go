package e2e

import (
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestCompose lets docker-compose build a translated Dockerfile with Docker's classic builder, which it drives itself.
func TestCompose(t *testing.T) {
	compose := enginetest.Tool(t, "docker-compose")
	b := newClassicBox(t)
	b.Env["COMPOSE_DOCKER_CLI_BUILD"] = "0"
	value := withSecret(b, base+"RUN --mount=type=secret,id=npm,required wc -c < /run/secrets/npm > /size && echo ran\n")
	translated := b.Tightlip("translate", "--for", "classic", "Dockerfile")
	wantCode(t, translated, 0)
	b.Write("Dockerfile.classic", []byte(translated.Stdout))
	b.Write("docker-compose.yml", []byte(`version: "3.4"
services:
  app:
    image: composed
    build: {context: ., dockerfile: Dockerfile.classic, network: host, args: [NO_PROXY]}
`))
	t.Cleanup(func() { b.Run("docker", "rmi", "-f", "composed") })

	args := append([]string{"serve", "--for", "compose"}, secretFlag...)
	r := b.Tightlip(append(args, "--", compose, "build")...)
	wantCode(t, r, 0)
	wantText(t, r.All(), "ran", `secret "npm": 200`)
	enginetest.NoTraces(t, "the output", r.All(), value)
	again := b.Tightlip(append(args, "--", compose, "build")...)
	wantCode(t, again, 0)
	wantText(t, again.All(), "Using cache")
	proven := b.Tightlip(append([]string{"prove", "composed"}, secretFlag...)...)
	wantCode(t, proven, 0)
	enginetest.NoTraces(t, "the history", b.Docker("history", "--no-trunc", "composed"), value)

	alone := b.Run(compose, "build", "--no-cache")
	if alone.Code == 0 {
		t.Errorf("without the server the step ran:\n%s", alone.All())
	}
}
