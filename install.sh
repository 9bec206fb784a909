#!/bin/sh
# Installs mirrorwatch from this checkout on any distribution with systemd, and takes it away again. On Debian and
# Ubuntu the package does that better: `cargo deb`.
#
#   cargo build --release --locked
#   sudo ./install.sh                 installs, enables, starts; again: upgrades, and leaves alone what you changed
#   sudo ./install.sh --uninstall     puts Docker's list back, takes the program away, keeps settings and state
#   sudo ./install.sh --purge         the same, settings and state too
#
# Docker is neither stopped nor started, and no container notices.
set -eu

prefix=/usr/local
units=/etc/systemd/system
settings=/etc/mirrorwatch
state=/var/lib/mirrorwatch
program=$prefix/bin/mirrorwatch
shipped=$prefix/share/mirrorwatch/mirrors.toml
asked=$*
here=$(cd "$(dirname "$0")" && pwd)

say() { printf 'install.sh: %s\n' "$*"; }
die() { say "$@" >&2; exit 1; }

usage() {
  sed -n 's/^#   //p' "$0"
  exit "$1"
}

changed=
put() { # put SOURCE DESTINATION MODE: as a whole or not at all, and only if it differs
  if cmp -s "$1" "$2"; then return; fi
  install -D -m "$3" "$1" "$2.new"
  mv -f "$2.new" "$2"
  changed=yes
}

unit_names() {
  for unit in "$here"/systemd/mirrorwatch*.service "$here"/systemd/mirrorwatch*.path \
    "$here"/systemd/mirrorwatch*.timer; do
    if [ -e "$unit" ]; then basename "$unit"; fi
  done
}

# What is installed besides the program and the units: SOURCE DESTINATION.
files() {
  cat <<EOF
debian/mirrorwatch.1 $prefix/share/man/man1/mirrorwatch.1
debian/mirrors.toml.5 $prefix/share/man/man5/mirrors.toml.5
debian/completions/mirrorwatch.bash $prefix/share/bash-completion/completions/mirrorwatch
debian/completions/mirrorwatch.zsh $prefix/share/zsh/site-functions/_mirrorwatch
debian/completions/mirrorwatch.fish $prefix/share/fish/vendor_completions.d/mirrorwatch.fish
EOF
}

check_host() {
  [ "$(id -u)" = 0 ] || die "must be run as root: sudo $0 $asked"
  [ -d /run/systemd/system ] || die "systemd does not run this host; without it, run \`mirrorwatch run\` your own way"
  if [ -e /usr/lib/systemd/system/mirrorwatch.service ]; then
    die "mirrorwatch is installed as a package: upgrade or remove it with your package manager"
  fi
}

put_settings() { # as a package does with a configuration file: yours stays when you have changed it
  if [ ! -e "$settings/mirrors.toml" ] || cmp -s "$settings/mirrors.toml" "$shipped"; then
    if ! cmp -s "$here/mirrors.toml" "$settings/mirrors.toml"; then
      install -D -m 644 "$here/mirrors.toml" "$settings/mirrors.toml.new"
      mv -f "$settings/mirrors.toml.new" "$settings/mirrors.toml"
    fi
    rm -f "$settings/mirrors.toml.dist"
  elif ! cmp -s "$here/mirrors.toml" "$settings/mirrors.toml"; then
    install -m 644 "$here/mirrors.toml" "$settings/mirrors.toml.dist"
    say "$settings/mirrors.toml is yours and stays; what is shipped now: $settings/mirrors.toml.dist"
  fi
  install -D -m 644 "$here/mirrors.toml" "$shipped"
  install -d -m 755 "$settings/mirrors.d"
}

put_units() {
  temporary=$(mktemp)
  # For a rootless Docker; its user enables it.
  sed "s|/usr/bin/mirrorwatch|$program|" "$here/systemd/user/mirrorwatch.service" > "$temporary"
  put "$temporary" /etc/systemd/user/mirrorwatch.service 644
  for unit in $(unit_names); do
    if [ ! -e "$units/$unit" ]; then new="$new $unit"; fi
    sed "s|/usr/bin/mirrorwatch|$program|" "$here/systemd/$unit" > "$temporary"
    put "$temporary" "$units/$unit" 644
  done
  rm -f "$temporary"
}

do_install() {
  check_host
  binary=$here/target/release/mirrorwatch
  [ -x "$binary" ] || die "$binary: not built yet. As yourself: cargo build --release --locked"
  "$binary" check "$here/mirrors.toml" >/dev/null || die "$here/mirrors.toml: not valid; nothing is installed"

  new=
  put "$binary" "$program" 755
  files | while read -r source destination; do put "$here/$source" "$destination" 644; done
  put_settings
  if [ -e "$here/systemd/sysusers.d/mirrorwatch.conf" ]; then
    put "$here/systemd/sysusers.d/mirrorwatch.conf" /etc/sysusers.d/mirrorwatch.conf 644
    systemd-sysusers /etc/sysusers.d/mirrorwatch.conf
  fi
  put_units
  # The service may write where Docker's list lies, and systemd needs the directory for that before Docker makes it.
  if [ ! -d /etc/docker ]; then
    install -d -m 755 /etc/docker "$state-apply"
    # A purge takes it away again, and only then: else it is Docker's, or somebody's.
    : > "$state-apply/made-etc-docker"
  fi
  if command -v restorecon >/dev/null; then restorecon -R "$program" "$units" "$settings" || true; fi
  start
}

start() {
  [ -n "$changed" ] || { say "nothing has changed"; return; }
  systemctl daemon-reload
  for unit in $(unit_names); do
    case " $new " in
    *" $unit "*)
      # Those that are started by others have nothing to enable.
      if grep -q '^\[Install\]' "$units/$unit"; then systemctl enable --now --quiet "$unit"; fi ;;
    # What you have stopped stays stopped, and what you have disabled disabled.
    *) systemctl try-restart "$unit" ;;
    esac
  done
  say "installed; see: mirrorwatch status"
}

do_uninstall() {
  check_host
  known=
  for unit in "$units"/mirrorwatch*; do
    if [ -f "$unit" ]; then known="$known ${unit##*/}"; fi
  done
  for unit in $known; do systemctl disable --now --quiet "$unit" 2>/dev/null || systemctl stop "$unit" || true; done
  if [ -x "$program" ]; then
    if said=$("$program" restore --no-pause 2>&1); then
      say "$said"
    else
      say "Docker's list could not be put back, and stays as it is:" >&2
      printf '%s\n' "$said" >&2
      # Without the program there would be no way back.
      die "nothing more is taken away. To go on without putting it back: rm $program, and this again"
    fi
  fi
  for unit in $known; do rm -f "$units/$unit"; done
  files | while read -r _ destination; do rm -f "$destination"; done
  rm -f "$program" "$shipped" /etc/sysusers.d/mirrorwatch.conf /etc/systemd/user/mirrorwatch.service
  rmdir "$(dirname "$shipped")" 2>/dev/null || true
  systemctl daemon-reload
  say "taken away; $settings, $state and $state-apply are kept: $0 --purge"
}

do_purge() {
  do_uninstall
  if [ -e "$state-apply/made-etc-docker" ]; then rmdir /etc/docker 2>/dev/null || true; fi
  rm -rf "$state" "$state-apply" /run/mirrorwatch /run/mirrorwatch-apply
  rm -f "$settings/mirrors.toml" "$settings/mirrors.toml.dist" "$settings/mirrors.d/local.toml"
  # Your own files in mirrors.d stay.
  rmdir "$settings/mirrors.d" "$settings" 2>/dev/null || true
  say "settings and state are gone too"
}

case "${1:-}" in
"") do_install ;;
--uninstall) do_uninstall ;;
--purge) do_purge ;;
-h|--help) usage 0 ;;
*) usage 2 >&2 ;;
esac
