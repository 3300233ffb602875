#!/usr/bin/env bash
# Lays the third-party protos that ours import into proto/third_party (git-ignored), from pinned
# Go modules, verified by the checksum database like any other.
set -euo pipefail
cd "$(dirname "$0")/.."

PROTOVALIDATE=github.com/bufbuild/protovalidate@v1.2.2
# The last module that ships google/api/{annotations,http}.proto, which have not changed since.
GOOGLEAPIS=github.com/grpc-ecosystem/grpc-gateway@v1.16.0

folder() { GOWORK=off GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'; }

rm -rf proto/third_party
mkdir -p proto/third_party/protovalidate/buf/validate proto/third_party/googleapis/google/api
cp "$(folder "$PROTOVALIDATE")/proto/protovalidate/buf/validate/validate.proto" proto/third_party/protovalidate/buf/validate/
cp "$(folder "$GOOGLEAPIS")"/third_party/googleapis/google/api/{annotations,http}.proto proto/third_party/googleapis/google/api/
chmod -R u+w proto/third_party
