# make demo and make test set up what they need.
DOCS ?= docs/generated
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
export CGO_ENABLED = 0

.PHONY: build shim demo test conformance lint bench bench-peers fuzz docs cross clean

build: shim
	go build -trimpath -ldflags '-s -w' -o bin/tightlip ./cmd/tightlip

# The shims that are embedded into tightlip: the same bytes from the same code, written only if they changed.
shim:
	@for arch in amd64 arm64; do \
	  new=bin/shim-linux-$$arch; gz=broker/shimbin/$$new.gz; \
	  GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=false -ldflags '-s -w' -o $$new ./cmd/tightlip-shim || exit 1; \
	  gzip -9nc $$new > $$new.gz && { cmp -s $$new.gz $$gz || cp $$new.gz $$gz; } || exit 1; \
	done

demo: build
	./demo/run

test: build
	.ci/setup
	go test -timeout 20m ./...

# The table of docs/engines.md, from a run on every engine that the tests have.
conformance: build
	.ci/setup
	go test -timeout 30m -count 1 ./test/conformance -args -write $(CURDIR)/docs/engines.md

lint:
	.ci/lint

bench:
	.ci/setup
	go test -run '^$$' -bench . -benchtime 2s ./broker/gate ./proof/... ./scan/... ./internal/... ./test/scan ./test/lint
	go test -run "^$$" -bench . -benchtime 3x ./test/e2e
	.ci/bench

# The same leaks, looked for by other tools that can be built here.
bench-peers: build
	.ci/setup
	test/scan/peers.sh

# Each fuzz target for FUZZTIME.
FUZZTIME ?= 20s
fuzz:
	@for pkg in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

# The manual pages, the reference and the shell completions, from the commands themselves.
docs: build
	rm -rf $(DOCS) && mkdir -p $(DOCS)/completions
	bin/tightlip docs man $(DOCS)/man
	bin/tightlip docs markdown $(DOCS)/reference
	for shell in bash zsh fish powershell; do bin/tightlip completion $$shell > $(DOCS)/completions/tightlip.$$shell; done

cross: shim
	@for p in $(PLATFORMS); do echo "$$p"; GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/tightlip || exit 1; done

clean:
	rm -rf bin .tools
