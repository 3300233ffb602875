#!/usr/bin/env bash
# Tidies each module and builds and vets it by itself: go.work hides missing requires.
# With -check it changes nothing and fails where `go mod tidy` would.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off

for module in proto pkg services; do
	(
		cd "$module"
		if [ "${1:-}" = -check ]; then
			go mod tidy -diff
		else
			go mod tidy
		fi
		go build ./...
	)
done
