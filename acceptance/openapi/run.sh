#!/bin/sh
# Generates a client from the OpenAPI document with oapi-codegen, starts the product on free ports, and runs the five
# examples of the README with grpcurl, with curl, and with the client. It fails if one fails or answers nothing.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
bin=$root/build/bin
mkdir -p "$bin" client
GOWORK=off go tool oapi-codegen -generate types,client -package client -o client/client.gen.go \
	"$root/services/gateway/internal/rest/gen/openapi.json"
(cd "$root/tools" && GOWORK=off go build -o "$bin/" github.com/fullstorydev/grpcurl/cmd/grpcurl)
(cd "$root" && go build -trimpath -o "$bin/" ./services/entraflow/cmd/entraflow)
GOWORK=off go build -o "$bin/api-acceptance" .
exec "$bin/api-acceptance" -root "$root"
