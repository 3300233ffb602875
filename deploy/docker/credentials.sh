#!/bin/sh
# Makes the credentials that compose's containers share, once, readable by their owner alone.
set -eu
dir=$1
umask 077
[ -s "$dir/clickhouse.password" ] || openssl rand -hex 32 >"$dir/clickhouse.password"
[ -s "$dir/seal.key" ] || openssl rand -hex 32 >"$dir/seal.key"
[ -s "$dir/gateway.key" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \
	-subj /CN=localhost -addext 'subjectAltName=DNS:localhost,DNS:gateway,IP:127.0.0.1' \
	-keyout "$dir/gateway.key" -out "$dir/gateway.crt"
