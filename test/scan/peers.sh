#!/usr/bin/env bash
# Counts how many of the planted secrets gitleaks finds in the unpacked layers, for comparison. Needs the Go module proxy.
set -euo pipefail
cd "$(dirname "$0")/../.."
gitleaks=$PWD/.tools/gitleaks
[ -x "$gitleaks" ] || GOBIN=$PWD/.tools go install github.com/zricethezav/gitleaks/v8@v8.30.1
dir=$(mktemp -d /tmp/tlpeers.XXXX)
trap 'rm -rf "$dir"' EXIT
peers() { go test -v -count 1 -run TestPeers ./test/scan -args -unpack "$dir/layers" "$@"; }
peers >/dev/null
time "$gitleaks" dir "$dir/layers" --no-banner --log-level error --max-archive-depth 8 --report-format json --report-path "$dir/report.json" || true
peers -gitleaks "$dir/report.json" | grep 'gitleaks finds'
