#!/usr/bin/env bash
# Lays the third-party protos that ours import into proto/third_party, from the pinned Go module
# MODULE@VERSION given as the only argument.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(GOWORK=off GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
rm -rf proto/third_party
mkdir -p proto/third_party/protovalidate/buf/validate
cp "$dir/proto/protovalidate/buf/validate/validate.proto" proto/third_party/protovalidate/buf/validate/
chmod -R u+w proto/third_party
