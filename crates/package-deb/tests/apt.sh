# shellcheck shell=sh
# Sourced by the script that the test makes; runs as root in a container.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
# One word for each.
# shellcheck disable=SC2046
everything() { find / -xdev $(for one in $CACHES; do echo "-path $one -prune -o"; done) -print | sort; }
everything >/tmp/before
section() { echo "### $*"; }
# What is new under the root, with digests; what is gone; what dpkg thinks.
state() {
    section "$1"
    everything >/tmp/now
    comm -13 /tmp/before /tmp/now | while read -r path; do
        if [ -d "$path" ]; then echo "new $path/"; else echo "new $path $(sha256sum <"$path" | cut -c1-64)"; fi
    done
    comm -23 /tmp/before /tmp/now | sed 's/^/gone /'
    # Without those that dpkg only heard of.
    dpkg-query -W -f 'dpkg ${Package} ${Version} ${db:Status-Status}\n' 'mina-*' 2>/dev/null | grep -v ' not-installed$' || true
    for package in $(dpkg-query -W -f '${Package} ' 'mina-*' 2>/dev/null); do
        dpkg -L "$package" | while read -r path; do [ -d "$path" ] || echo "owned $path"; done
    done
    # Everything takes a second; that nothing else was touched is seen above, and once at the end.
    packages=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 'mina-*' 2>/dev/null | sed -n 's/^ii  *//p')
    if [ "$1" = end ]; then packages=; elif [ -z "$packages" ]; then packages=apt; fi
    # shellcheck disable=SC2086
    dpkg --verify $packages 2>&1 | sed 's/^/verify /'
    dpkg --audit 2>&1 | sed 's/^/audit /'
}
# Flushing every file tests the disk, not the package.
get() { apt-get -qq -y -o Dpkg::Options::=--force-unsafe-io "$@" >/tmp/out 2>&1 || { cat /tmp/out; echo "FAILED apt-get $*"; exit 1; }; }
# A source of its own, which apt must refuse.
refused() {
    section "$1"
    mkdir -p "/tmp/lists-$1/partial"
    echo "deb [signed-by=/repo/$3] $2 stable main" >"/tmp/$1.list"
    options="-o Dir::Etc::SourceList=/tmp/$1.list -o Dir::Etc::SourceParts=- -o Dir::State::Lists=/tmp/lists-$1"
    if apt-get $options update 2>&1 && apt-get $options --download-only --reinstall -y install "mina-devnet-config=$4" 2>&1; then
        echo "NOT REFUSED"
    fi
    rm -rf /var/cache/apt/archives/*.deb
}
