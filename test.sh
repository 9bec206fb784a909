#!/usr/bin/env bash
# The one test command: formats, lints, documents, tests, the real engine, the shipped file, the demo.
# On a fresh Debian 12 with only Rust it installs, as root, what the real suites need.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }
failed=()
step() { # step NAME COMMAND...: runs on after a failure, so that one run tells everything
  local name=$1; shift
  say "$name"
  if "$@"; then return 0; fi
  failed+=("$name")
  printf '!! %s failed\n' "$name" >&2
}

# What each program is for: dockerd and its containerd and runc (the real engine), docker-registry (the real
# registry), skopeo (puts an image into it), systemd-analyze (reads the unit), debootstrap and systemd-nspawn (make
# and boot whole machines), strace (makes system calls fail), setfacl and setfattr (what must be kept), mkfs.ext4 and
# mkfs.xfs (power losses), dpkg-shlibdeps, strip and readelf (the package), cc (compiles SQLite, links), musl-gcc (the
# same for the program of the package, which is static).
programs=(dockerd docker containerd runc docker-registry skopeo systemd-analyze debootstrap systemd-nspawn
  strace setfacl setfattr mkfs.ext4 mkfs.xfs dpkg-shlibdeps strip readelf cc
  musl-gcc)
packages=(docker.io containerd runc docker-registry skopeo systemd debootstrap systemd-container
  strace acl attr e2fsprogs xfsprogs dpkg-dev binutils gcc libc6-dev
  musl-tools)
# The Debian suites that are booted besides 12; "" for none. Trees are kept in /var/cache/mirrorwatch-tests.
export MIRRORWATCH_TREES=${MIRRORWATCH_TREES-trixie forky}
missing() {
  local program found=()
  for program in "${programs[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || found+=("$program")
  done
  [ ${#found[@]} -eq 0 ] || printf '%s ' "${found[@]}"
}
if [ -n "$(missing)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "install from Debian's packages: ${packages[*]}"
  apt-get update -q
  # No service may start by itself: the suites start their own, on loopback, and end them.
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
export PATH=$PATH:/usr/sbin:/sbin
lacking=$(missing)
if [ -n "$lacking" ]; then
  printf '!! not installed: %s\n!! hint: run ./test.sh as root on Debian, or apt-get install %s\n' "$lacking" "${packages[*]}" >&2
  failed+=("real components (missing: $lacking)")
fi
if [ "$(id -u)" != 0 ]; then
  printf '!! not root: the real-engine suite starts its own dockerd and needs root\n' >&2
  failed+=("real components (not root)")
fi

# What makes the Debian package; one and a half minutes, once.
if ! cargo deb --version >/dev/null 2>&1; then
  step "install cargo-deb" cargo install --locked --quiet --version 3.8.0 cargo-deb
fi

# One program for every Linux, and two thirds of the memory that it takes with the host's own C library.
target=$(uname -m)-unknown-linux-musl
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  step "install Rust's library for $target" rustup target add "$target"
fi

step "format" cargo fmt --check
step "clippy" cargo clippy --locked --all-targets -- -D warnings
step "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
# As users build it: released, stripped. The machines of the suite install this one.
package=$PWD/target/mirrorwatch.deb
rm -f "$package"
step "Debian package" cargo deb --locked --quiet --target "$target" --output "$package"
[ ! -e "$package" ] || export MIRRORWATCH_DEB=$package
step "tests, the real engine included" cargo test --locked --no-fail-fast
step "check mirrors.toml" cargo run --locked --quiet -- check mirrors.toml
step "demo" cargo run --locked --release --quiet --example demo

say "result"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "all green"
