#!/bin/sh
# tree.sh SUITE DIRECTORY: a Debian tree that boots, with systemd, docker.io and docker-registry in it.
# As root. Whatever is mounted here and whatever starts here ends with the script: the caller gives it
# namespaces of its own. It speaks to nobody but the Debian mirror that this machine's apt uses.
set -eu
suite=$1
tree=$2

# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
  sed -n "s/^$codename //p" | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian/}
eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
[ -z "${http_proxy:-}" ] || export http_proxy

# A debootstrap that is older than the suite makes it in the way of sid.
[ -e "/usr/share/debootstrap/scripts/$suite" ] || set -- "$@" sid
debootstrap --variant=minbase --include=ca-certificates "$suite" "$tree" "$mirror" ${3:+"$3"}

# Only while it is being made: this machine's ways to the packages, no service that starts, no waiting for disks.
cp /etc/hosts /etc/resolv.conf "$tree/etc/"
apt-config dump Acquire > "$tree/etc/apt/apt.conf.d/00making"
echo force-unsafe-io > "$tree/etc/dpkg/dpkg.cfg.d/making"
printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"
chmod +x "$tree/usr/sbin/policy-rc.d"
mount -t proc proc "$tree/proc"
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$tree" "$@"; }
inside apt-get update -q
# The client is a package of its own since Debian 13. docker.service reloads with the kill of procps, which only
# most machines have. strace shows which programs are started. From libpam-systemd on: a user's own systemd, and a
# rootless Docker in it.
client=$(inside apt-cache pkgnames docker-cli | grep -x docker-cli || true)
# shellcheck disable=SC2086
inside apt-get install -y -q --no-install-recommends \
  systemd systemd-sysv dbus docker.io $client docker-registry iptables iproute2 procps strace \
  libpam-systemd dbus-user-session uidmap rootlesskit slirp4netns

# Debian's registry wants a password; the tests start their own. No machine that is tested loads kernel modules.
inside systemctl disable docker-registry.service
inside systemctl mask systemd-modules-load.service
inside apt-get clean
umount "$tree/proc"
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/usr/share/doc/* "$tree"/usr/share/locale/* \
  "$tree/etc/apt/apt.conf.d/00making" "$tree/etc/dpkg/dpkg.cfg.d/making" "$tree/usr/sbin/policy-rc.d"
# Each machine makes an identity of its own. Were the file missing, its first boot would ask for a root password.
: > "$tree/etc/machine-id"
printf '127.0.0.1 localhost\n' > "$tree/etc/hosts"
rm -f "$tree/etc/resolv.conf"
