#!/usr/bin/env bash
# Runs every fuzz target of the workspace for the given time each (default 20s).
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-20s}
while IFS=: read -r file target; do
	echo "fuzz: $target in $(dirname "$file"), $time"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
done < <(git grep -noE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed -E 's/^([^:]+):[0-9]+:func (.*)$/\1:\2/')
