package corpus

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// text plants the secrets of one field of a document.
func (b *builder) text(place, field, text string) string {
	at := Planted{ID: place + "/" + field, Place: place, Field: field}
	if b.shape != Docker && (strings.HasPrefix(place, "config") || place == "history" || place == "manifest.annotations") {
		at.Platform = "linux/amd64"
	}
	return b.expand(at, text)
}

func (b *builder) texts(place string, list ...string) []string {
	for i, text := range list {
		list[i] = b.text(place, fmt.Sprintf("%s[%d]", place, i), text)
	}
	return list
}

// words are a command. Scanners may take it as one text or word by word.
func (b *builder) words(place string, list ...string) []string {
	for i, text := range list {
		start := len(b.planted)
		list[i] = b.text(place, fmt.Sprintf("%s[%d]", place, i), text)
		for j := range b.planted[start:] {
			b.planted[start+j].Field = place
		}
	}
	return list
}

func (b *builder) fields(place, prefix string, m map[string]string) map[string]string {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		m[key] = b.text(place, prefix+key, m[key])
	}
	return m
}

// config is the first platform's image config, with secrets in all its fields.
func (b *builder) config(layers []layer) object {
	config := plainConfig(layers)
	config["author"] = b.text("config.author", "author", "CI https://oauth2:‹gitlab›@gitlab.corp.internal")
	config["config"] = object{
		"Env": b.texts("config.Env",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NODE_VERSION=22.11.0", "GPG_KEY=‹-upper 40›",
			"PYTHON_SHA256=‹-hex 64›", "DB_PASSWORD_FILE=/run/secrets/db", "SESSION_TOKEN_TTL=3600", "API_TOKEN=", "NPM_CONFIG_LOGLEVEL=info",
			"DB_PASSWORD=‹human›", "AWS_SECRET_ACCESS_KEY=‹b64 30›", "DATABASE_URL=postgres://app:‹pass›@db.corp.internal:5432/app",
			"API_KEY=‹alnum 32›", "SLACK=‹slack-bot›", "SPRING_DATASOURCE_PASSWORD=‹pass›", "SERVICE_ACCOUNT=‹rsa-pkcs8|json|wrap {\"private_key\":\"%s\"}›"),
		"Labels": b.fields("config.Labels", "config.Labels.", map[string]string{
			"maintainer": "ops@corp.internal", "org.opencontainers.image.revision": "‹-hex 40›",
			"com.corp.deploy-token": "‹gitlab›", "com.corp.db": "postgres://svc:‹pass›@db.corp.internal/app", "com.corp.admin.password": "‹human›"}),
		"Cmd":        b.words("config.Cmd", "server", "--listen=:8080", "--db-password=‹pass›"),
		"Entrypoint": b.words("config.Entrypoint", "/entrypoint.sh", "--github", "‹github›"),
		"Healthcheck": object{"Test": b.words("config.Healthcheck.Test", "CMD-SHELL",
			"curl -fsS -u health:‹pass› http://127.0.0.1:8080/health || exit 1")},
		"OnBuild": b.words("config.OnBuild", "ENV NPM_TOKEN=‹npm›", "RUN curl -H 'Authorization: Bearer ‹jwt›' https://api.corp.internal/build"),
	}
	config["history"] = b.history(layers)
	return config
}

// plainConfig is one without secrets.
func plainConfig(layers []layer) object {
	var history []object
	for _, l := range layers {
		history = append(history, object{"created": created, "created_by": l.createdBy})
	}
	return object{"config": object{"Env": []string{"PATH=/usr/bin:/bin"}}, "history": history}
}

const created = "2026-03-01T10:00:00Z"

// steps are entries of the history without a layer.
var steps = []string{
	"/bin/sh -c #(nop)  ENV ADMIN_PASSWORD=‹human›",
	"ENV SPRING_MAIL_PASSWORD=‹pass›",
	"ENV GPG_KEY=‹-upper 40›",
	"RUN |1 NPM_TOKEN=‹npm› /bin/sh -c npm ci # buildkit",
	"RUN |2 PIP_PASSWORD=‹human› VERSION=1.2 /bin/sh -c pip install -r requirements.txt # buildkit",
	"|1 SECRET_KEY=‹alnum 32› /bin/sh -c ./configure",
	"RUN |1 TOKEN_FILE=/run/secrets/token /bin/sh -c ./build # buildkit",
	"RUN /bin/sh -c curl -fsSL -u deploy:‹pass› https://nexus.corp.internal/tool.tgz | tar xz # buildkit",
	"RUN /bin/sh -c git clone https://x-access-token:‹github›@github.com/corp/app.git # buildkit",
	"RUN /bin/sh -c git clone https://ci-bot:‹human|url›@git.corp.internal/team/lib.git # buildkit",
	"RUN /bin/sh -c echo //npm.corp.internal/:_authToken=‹uuid› > .npmrc && npm ci && rm .npmrc # buildkit",
	"RUN /bin/sh -c mysql -h db.corp.internal -u root -p‹pass› < schema.sql # buildkit",
	"RUN /bin/sh -c docker login -u ci -p ‹pass› registry.corp.internal # buildkit",
	"RUN /bin/sh -c sshpass -p ‹pass› scp deploy@web.corp.internal:/x /x # buildkit",
	"RUN /bin/sh -c echo 'root:‹human›' | chpasswd # buildkit",
	"RUN /bin/sh -c pip install --index-url https://ci:‹pass›@pypi.corp.internal/simple corp-auth # buildkit",
	"RUN /bin/sh -c wget --http-user=ci --http-password=‹pass› https://nexus.corp.internal/x # buildkit",
	`LABEL com.corp.key=‹alnum 32› com.corp.secret="‹alnum 32›"`,
}

func (b *builder) history(layers []layer) []object {
	var out []object
	for _, l := range layers {
		out = append(out, object{"created": created, "created_by": l.createdBy})
	}
	for _, step := range steps {
		field := fmt.Sprintf("history[%d].created_by", len(out))
		out = append(out, object{"created": created, "created_by": b.text("history", field, step), "empty_layer": true})
	}
	field := func(name string) string { return fmt.Sprintf("history[%d].%s", len(out), name) }
	return append(out, object{"created": created, "created_by": `CMD ["server"]`, "empty_layer": true,
		"comment": b.text("history", field("comment"), "pushed with ‹docker›"),
		"author":  b.text("history", field("author"), "CI <https://ci:‹pass›@ci.corp.internal>")})
}

func (b *builder) manifestAnnotations() map[string]string {
	return b.fields("manifest.annotations", "annotations.", map[string]string{
		"org.opencontainers.image.source": "https://git.corp.internal/team/app",
		"com.corp.ci.job-token":           "‹gitlab›",
		"com.corp.registry":               "https://robot:‹pass›@registry.corp.internal",
	})
}

func (b *builder) indexAnnotations() map[string]string {
	return b.fields("index.annotations", "annotations.", map[string]string{
		"org.opencontainers.image.created": created,
		"com.corp.signing.password":        "‹human›",
		"com.corp.hook":                    "‹slack-hook›",
	})
}

// statements are a provenance of BuildKit's mode=max and an SBOM.
func (b *builder) statements() []statement {
	args := b.fields("provenance", "predicate.buildDefinition.externalParameters.request.args.", map[string]string{
		"build-arg:NPM_TOKEN": "‹npm›", "build-arg:DB_PASSWORD": "‹human›", "build-arg:VERSION": "1.2",
		"vcs:source": "https://ci:‹pass›@git.corp.internal/team/app.git",
	})
	const infos = "predicate.runDetails.metadata.buildkit_metadata.source.infos[0].data"
	dockerfile := b.text("provenance", infos, "FROM debian:12\nARG SECRET_TOKEN=‹alnum 32›\nRUN curl -u ci:‹pass› https://nexus.corp.internal/x\n")
	provenance := object{
		"buildDefinition": object{"buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
			"externalParameters": object{"request": object{"frontend": "dockerfile.v0", "args": args}}},
		"runDetails": object{"metadata": object{"buildkit_metadata": object{"source": object{"infos": []object{
			{"filename": "Dockerfile", "data": base64.StdEncoding.EncodeToString([]byte(dockerfile))}}}}}},
	}
	location := b.text("sbom", "predicate.packages[0].downloadLocation", "https://ci:‹pass›@pypi.corp.internal/simple/corp-auth")
	sbom := object{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT",
		"packages": []object{{"name": "corp-auth", "SPDXID": "SPDXRef-1", "downloadLocation": location}}}
	return []statement{{"https://slsa.dev/provenance/v1", provenance}, {"https://spdx.dev/Document", sbom}}
}
