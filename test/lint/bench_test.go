package lint_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// BenchmarkLintOne runs the program on the folder of one usual Dockerfile: most of its time is that of starting a process.
func BenchmarkLintOne(b *testing.B) {
	dir := b.TempDir()
	writeAll(b, dir, map[string]string{"package.json": `{"name": "shop"}`, ".dockerignore": ".git\nnode_modules\n", "Dockerfile": `# syntax=docker/dockerfile:1
FROM node:22-alpine AS build
ARG NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN,required=true \
    --mount=type=cache,target=/root/.npm \
    npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:22-alpine
RUN apk add --no-cache curl tini && addgroup -S app && adduser -S app -G app
ENV NODE_ENV=production PORT=8080
WORKDIR /app
COPY --from=build --chown=app:app /app/dist ./dist
COPY --from=build --chown=app:app /app/node_modules ./node_modules
USER app
EXPOSE 8080
HEALTHCHECK CMD curl -fsS http://localhost:8080/health
ENTRYPOINT ["/sbin/tini", "--"]
CMD ["node", "dist/server.js"]
`})
	program := enginetest.Binary(b)
	for b.Loop() {
		if out, err := exec.Command(program, "lint", dir).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}

// BenchmarkLintMany checks a folder with ten thousand Dockerfiles, those of the corpus again and again, with what is beside them.
func BenchmarkLintMany(b *testing.B) {
	const many = 10_000
	root, n := b.TempDir(), 0
	projects := append(corpus(b, "bad"), corpus(b, "good")...)
	for round := 0; n < many; round++ {
		for _, p := range projects {
			dir := filepath.Join(root, fmt.Sprint(round), p.name)
			if err := os.CopyFS(dir, os.DirFS(p.dir)); err != nil {
				b.Fatal(err)
			}
			if n += len(p.dockerfiles(b)); n >= many {
				break
			}
		}
	}
	d := detect.New()
	for b.Loop() {
		r, err := lint.Check(b.Context(), lint.Options{Root: root, Detector: d})
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Findings) < many/2 {
			b.Fatalf("only %d findings", len(r.Findings))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
}

func writeAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}
