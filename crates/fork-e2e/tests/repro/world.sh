# Runs build.sh in a world of its own: mounts, host name, user, time and environment are private. Needs
# root, and runs inside `unshare --mount --uts`.
#
#   world.sh SOURCES BIN INPUTS BASE DISK RESULT NAME=VALUE...
#
# The world: W_CWD W_TMPFS W_HOST W_USER W_UMASK W_CPUS W_TIME. Everything else is build.sh's environment.
set -euo pipefail
sources=$1 bin=$2 inputs=$3 base=$4 disk=$5 result=$6
shift 6
W_CWD=/mnt/work W_TMPFS='' W_HOST=fp-reference W_USER=0 W_UMASK=0022 W_CPUS='' W_TIME=''
# Of the environment that the tests run in, nothing.
variables=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt/home TMPDIR=/mnt/tmp ORDER=
    "ROLES=genesis staking next" BIN=/mnt/bin INPUTS=/mnt/inputs BASE=/mnt/base)
for assignment in "$@"; do
    case $assignment in
        W_*) declare "$assignment" ;;
        *) variables+=("$assignment") ;;
    esac
done

hostname "$W_HOST"
# Below one mount point, because an unprivileged user cannot reach into root's directories.
mount -t tmpfs -o mode=0755 world /mnt
for pair in "$sources sources" "$bin bin" "$inputs inputs" "$base base"; do
    mkdir "/mnt/${pair##* }"
    mount --bind "${pair% *}" "/mnt/${pair##* }"
done
mkdir -p "$W_CWD"
if [ -z "$W_TMPFS" ]; then mount --bind "$disk" "$W_CWD"; fi
chown "$W_USER" "$W_CWD"
for variable in "${variables[@]}"; do
    case $variable in
        HOME=* | TMPDIR=*) mkdir -p "${variable#*=}" && chown "$W_USER" "${variable#*=}" ;;
    esac
done

cd "$W_CWD"
umask "$W_UMASK"
command=(bash /mnt/sources/build.sh)
[ -z "$W_TIME" ] || command=(faketime -m -f "$W_TIME" "${command[@]}")
command=(env -i "${variables[@]}" "${command[@]}")
[ -z "$W_CPUS" ] || command=(taskset -c "$W_CPUS" "${command[@]}")
[ "$W_USER" = 0 ] || command=(setpriv --reuid "$W_USER" --regid "$W_USER" --clear-groups "${command[@]}")
"${command[@]}"
umask 0022
mkdir "$result"
cp -r out witness "$result"
