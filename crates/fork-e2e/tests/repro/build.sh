# Everything the pipeline makes of the small fixture, in the current directory. Run by world.sh.
#
#   BIN     the workers           INPUTS  fixtures/small        BASE  base.tar and base/
#   ROLES   order of the ledgers  ORDER   order in which files are copied: empty, or -r
set -euo pipefail
export PATH=$BIN:$PATH

# As an artifact store does between two steps: other times, modes by the umask, files in this order.
carry() {
    mkdir "$2"
    (cd "$1" && find . -mindepth 1 -type d) | LC_ALL=C sort $ORDER | while read -r name; do mkdir -p "$2/$name"; done
    (cd "$1" && find . -type f) | LC_ALL=C sort $ORDER | while read -r name; do cat "$1/$name" >"$2/$name"; done
}

read -r -a roles <<<"$ROLES"
network=inputs/network.toml
prefork=inputs/prefork_config.json
wanted=()
for role in "${roles[@]}"; do wanted+=(--role "$role"); done

carry "$INPUTS" inputs

# What a process sees here. The test looks whether the worlds really differ.
{
    echo "time $(date +%Y)"
    echo "zone $(date -d @0 +%z)"
    echo "locale ${LC_ALL:-}"
    echo "user $(id -u)"
    echo "umask $(umask)"
    echo "directory $PWD"
    echo "host $(uname -n)"
    echo "cores $(nproc) ${RAYON_NUM_THREADS:-}"
    echo "kernel ${FORKPACK_KERNEL:-}"
    echo "home $HOME $TMPDIR"
    echo "file-system $(stat -f -c %T .)"
    echo "directory-order $(ls -U inputs | tr '\n' ' ')"
} >witness

mkdir out
dump-candidates import --network "$network" --prefork-config "$prefork" \
    --fork-config inputs/fork_config.json --block inputs/block.json --output out/candidate
carry out/candidate candidate

migrate-ledger --candidate candidate "${wanted[@]}" --from berkeley --to mesa --output out/ledgers
carry out/ledgers ledgers
directories=()
for role in "${roles[@]}"; do directories+=(--ledgers "ledgers/$role"); done

generate-network-config --network "$network" --candidate candidate "${directories[@]}" \
    --prefork-config "$prefork" --output out/network-config
carry out/network-config network-config

package-deb --network-config network-config "${directories[@]}" --version 4.0.0-repro \
    --git-hash 0123abcd --seed-list-url https://example.org/seeds.txt --output out/deb
carry out/deb deb

package-image --deb deb --base "docker-archive:$BASE/base.tar" --output out/image \
    --docker-archive out/image.tar
# Its files belong to whoever made them, and so do those in the layer.
if [ -d "$BASE/base" ]; then
    package-image --deb deb --base "rootfs:$BASE/base" --output out/image-of-rootfs
fi

verify-package --deb deb --candidate candidate --network "$network" --prefork-config "$prefork" \
    --output out/report
