#!/usr/bin/env bash
# Fetches libchdb, the ClickHouse engine as a library, for the embedded mode.
#
# Takes the npm package of this platform through the user's npm configuration, checks the
# tarball against the SHA-512 pinned below, unpacks the library to
# build/libchdb/<version>/, and prints its path. Does nothing when it is there already.
#
#   LIBCHDB_PLATFORM   linux-x64-gnu, linux-arm64-gnu, darwin-x64, darwin-arm64; default: this machine's
#   LIBCHDB_INTEGRITY  sha512-... to use for a platform that has no pin below
#   LIBCHDB_DIR        where versions are unpacked; default: build/libchdb of this checkout
set -euo pipefail

version="26.7.3-stable.1"

# From: npm view @chdb/lib-<platform>@<version> dist.integrity
pinned_integrity() {
  case "$1" in
    linux-x64-gnu) echo "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==" ;;
  esac
}

fail() {
  echo "fetch-libchdb: $*" >&2
  exit 1
}

this_platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo "linux-x64-gnu" ;;
    Linux-aarch64 | Linux-arm64) echo "linux-arm64-gnu" ;;
    Darwin-x86_64) echo "darwin-x64" ;;
    Darwin-arm64) echo "darwin-arm64" ;;
    *) fail "no libchdb for $(uname -s) $(uname -m); use a ClickHouse server (clickhouse.dsn) instead" ;;
  esac
}

sha512_of() {
  command -v openssl >/dev/null || fail "openssl is needed to check the package"
  echo "sha512-$(openssl dgst -sha512 -binary "$1" | openssl base64 -A)"
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
base="${LIBCHDB_DIR:-$root/build/libchdb}"
platform="${LIBCHDB_PLATFORM:-$(this_platform)}"
target="$base/$version/libchdb.so"
stamp="$base/$version/platform"

# The stamp is written last, so a library without it is the rest of an interrupted run.
if [[ -s "$target" && "$(cat "$stamp" 2>/dev/null)" == "$platform" ]]; then
  echo "$target"
  exit 0
fi

integrity="$(pinned_integrity "$platform")"
integrity="${integrity:-${LIBCHDB_INTEGRITY:-}}"
[[ -n "$integrity" ]] || fail "no pinned hash for $platform; set LIBCHDB_INTEGRITY to the value you trust
  (npm view @chdb/lib-$platform@$version dist.integrity) or use a ClickHouse server (clickhouse.dsn)"

mkdir -p "$base/$version" "$base/cache"
tarball="$base/cache/$platform-$version.tgz"
work="$(mktemp -d "$base/.fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT

if [[ ! -s "$tarball" || "$(sha512_of "$tarball")" != "$integrity" ]]; then
  command -v npm >/dev/null || fail "npm is needed to download libchdb"
  echo "fetch-libchdb: downloading @chdb/lib-$platform $version (about 180 MB)" >&2
  packed="$(cd "$work" && npm pack --silent --pack-destination "$work" "@chdb/lib-$platform@$version" | tail -n 1)"
  got="$(sha512_of "$work/$packed")"
  [[ "$got" == "$integrity" ]] || fail "@chdb/lib-$platform $version has hash $got, want $integrity"
  mv -f "$work/$packed" "$tarball"
fi

echo "fetch-libchdb: unpacking to $target" >&2
tar -xzf "$tarball" -C "$work" package/libchdb.so
chmod 0755 "$work/package/libchdb.so"
mv -f "$work/package/libchdb.so" "$target"
printf '%s\n' "$platform" >"$work/platform"
mv -f "$work/platform" "$stamp"
echo "$target"
