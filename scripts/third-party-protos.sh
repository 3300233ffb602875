#!/usr/bin/env bash
# Lays the third-party protos that ours import into proto/third_party (git-ignored), from pinned
# Go modules, verified by the checksum database like any other.
set -euo pipefail
cd "$(dirname "$0")/.."

PROTOVALIDATE=github.com/bufbuild/protovalidate@v1.2.2

dir=$(GOWORK=off GOFLAGS=-mod=mod go mod download -json "$PROTOVALIDATE" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
rm -rf proto/third_party
mkdir -p proto/third_party/protovalidate/buf/validate
cp "$dir/proto/protovalidate/buf/validate/validate.proto" proto/third_party/protovalidate/buf/validate/
chmod -R u+w proto/third_party
