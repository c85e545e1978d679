# shellcheck shell=bash disable=SC2016
# The environment that every dev/ script runs in: Debian 13, the host itself or a private root.
#
#   env_exec CMD ...    replace this process by CMD, run in the environment, same working directory
#   env_run CMD ...     the same as a child; returns its exit code
#   env_here "$@"       at the top of a dev/ script: run it again inside, unless that is where we are
#   env_need LAYER ...  install dev/packages/LAYER.txt in the environment, once
#
# Elsewhere than on Debian 13 the root lives in ~/.cache/skerry/root-<digest of the package lists>.
# It is made once, under a lock, beside its final name, and renamed when it has proved to work: a root
# that exists is a whole one. It is entered by chroot in a mount namespace of its own, so nothing has
# to be unmounted afterwards, whatever kills the process. SKERRY_MIRROR overrides the mirror.

SKERRY_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
SKERRY_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/skerry
env_codename=trixie
env_inside_mark=/var/lib/skerry/root # exists in a private root and nowhere else

env_say() { printf 'skerry: %s\n' "$*" >&2; }
env_die() {
    env_say "$*"
    exit 1
}

# Package lists may hold comments and blank lines.
env_list() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$SKERRY_TOP/dev/packages/$1.txt"; }

# host: this machine is Debian 13, or we are in the root already. root: a private root is needed.
env_kind() {
    [ -e "$env_inside_mark" ] && { echo inside && return; }
    # shellcheck disable=SC1091
    (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 13 ]) && echo host || echo root
}

# The digest covers what a root is made of, so a changed list makes a new root beside the old one.
env_root_path() {
    local digest
    digest=$({ echo 1 && env_list base && env_list backports; } | sha256sum | cut -c1-12)
    echo "$SKERRY_CACHE/root-$digest"
}

env_preferences() {
    local name
    for name in $(env_list backports); do
        printf 'Package: src:%s\nPin: release n=%s-backports\nPin-Priority: 600\n\n' "$name" "$env_codename"
    done
}

# What apt reads from its .list and .sources files: URI, suite, component, origin and label. The last two
# are known only once indexes were fetched; until then the names have to do.
env_apt_sources() {
    local format='$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)/$(LABEL)' found
    found=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    [ -n "$found" ] || found=$(apt-get indextargets --no-release-info --format "$format" 'Created-By: Packages')
    # shellcheck disable=SC2001 # what stays unexpanded is not known
    sed 's/\$([A-Z]*)//g' <<<"$found"
}

# The URI of the Debian archive that the host's apt uses; "security": of its security archive. Third
# parties are told by their origin; what is fetched is verified with Debian's own keys in any case.
env_mirror() { # main | security
    local codename
    [ -z "${SKERRY_MIRROR:-}" ] || { [ "$1" != main ] || echo "$SKERRY_MIRROR" && return; }
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    env_apt_sources | awk -v tail="$([ "$1" = main ] || echo "-$1")" -v code="$codename" '
        $1 ~ /^(https?|file):/ && $3 == "main" && ($4 == "/" || $4 ~ /^Debian\//) &&
        ($2 == code tail || $2 == "stable" tail) { sub(/\/$/, "", $1); print $1; exit }'
}

# The sources.list lines of a Debian 13 from the mirrors above. The release and its backports must be
# there; updates and security are written where the mirror answers for them.
env_sources() { # KEYRING
    local main security suite
    main=$(env_mirror main)
    security=$(env_mirror security)
    [ -n "$main" ] || env_die "found no Debian archive in this machine's apt sources; set SKERRY_MIRROR=URI"
    for suite in "$env_codename" "$env_codename-backports"; do
        echo "deb [signed-by=$1] $main $suite main"
    done
    for suite in "$main $env_codename-updates" "$security $env_codename-security"; do
        # shellcheck disable=SC2086 # two words, or one where there is no such mirror
        ! env_mirror_has $suite || echo "deb [signed-by=$1] $suite main"
    done
}

env_mirror_has() { # URI SUITE
    [ $# = 2 ] && /usr/lib/apt/apt-helper -qq download-file "$1/dists/$2/InRelease" \
        "$SKERRY_CACHE/InRelease" >/dev/null 2>&1 && rm -f "$SKERRY_CACHE/InRelease"
}

# A keyring that knows Debian 13's signing keys. One too old for that is replaced, for our use alone, by
# the newer package from the host's own (verified) archive.
env_keyring() {
    local have=/usr/share/keyrings/debian-archive-keyring.gpg dir=$SKERRY_CACHE/keyring
    if env_keyring_fits "$have"; then
        echo "$have"
        return
    fi
    env_say "the archive keyring of this machine is older than Debian 13: fetching its newer version"
    [ "$(id -u)" != 0 ] || apt-get -q update >&2
    rm -rf "$dir" && mkdir -p "$dir"
    (cd "$dir" && apt-get -q download debian-archive-keyring >&2 && dpkg-deb -x ./*.deb .) ||
        env_die "cannot fetch debian-archive-keyring; install a version that knows Debian 13"
    env_keyring_fits "$dir$have" || env_die "debian-archive-keyring of this machine's archive lacks Debian 13"
    echo "$dir$have"
}

# The package also holds one file for each release's key, whose name tells what it knows.
env_keyring_fits() { [ -e "$1" ] && [ -e "${1%/*}/debian-archive-$env_codename-stable.gpg" ]; }

# What apt on the host was told about reaching its mirror holds in the root too.
env_apt_settings() {
    apt-config dump |
        grep -E '^Acquire::(http|https|ftp|socks|tor)::|^Acquire::(Check-[A-Za-z-]+|Retries|ForceIPv[46]) ' |
        grep -v 'Proxy-Auto-Detect' || true
    echo 'Acquire::Languages "none";'
    echo 'APT::Install-Recommends "0";'
}

# ---- making a root ----------------------------------------------------------------------------------

env_need_tool() { # COMMAND PACKAGE
    ! command -v "$1" >/dev/null || return 0
    [ "$(id -u)" = 0 ] || env_die "$1 is missing; run: sudo apt-get install --no-install-recommends $2"
    env_say "installing $2"
    apt-get -qq update >&2
    DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends "$2" >&2 ||
        env_die "could not install $2"
}

# The lock is held while a root is made; others wait here and then find it.
env_root() {
    local root
    root=$(env_root_path)
    if [ ! -d "$root" ]; then
        mkdir -p "$SKERRY_CACHE"
        exec {env_lock}>"$SKERRY_CACHE/lock"
        flock -n "$env_lock" || { env_say "waiting for another process to make the root" && flock "$env_lock"; }
        [ -d "$root" ] || env_root_make "$root" || env_die "no Debian 13 root"
        exec {env_lock}>&-
    fi
    echo "$root"
}

env_root_make() ( # ROOT; a subshell, so that its trap stays here
    root=$1 tmp=$1.making log=$SKERRY_CACHE/root.log start=$SECONDS
    command -v apt-get >/dev/null || env_die "this needs a Debian machine (apt-get is missing)"
    env_need_tool mmdebstrap mmdebstrap
    [ "$(id -u)" = 0 ] || env_need_tool newuidmap uidmap
    rm -rf "$SKERRY_CACHE"/work.* # of a process that was killed; we hold the lock
    work=$(mktemp -d "$SKERRY_CACHE/work.XXXXXX") || exit 1
    trap 'rm -rf "$work"' EXIT
    env_say "making a Debian 13 root in $root (once, some minutes; log in $log)"
    keyring=$(env_keyring) || exit 1
    env_sources "$keyring" >"$work/sources.list"
    env_preferences >"$work/preferences"
    env_apt_settings >"$work/apt.conf"
    env_host_files "$work/host.tar"
    (env_namespace rm -rf --one-file-system "$tmp") # in the namespace, which may delete what belongs to other ids
    hook="set -e; cd \"\$1\"; mkdir -p etc/apt/preferences.d usr/sbin .$env_inside_mark
        cp '$work/preferences' etc/apt/preferences.d/skerry; tar -xf '$work/host.tar'
        printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d; chmod 755 usr/sbin/policy-rc.d"
    (env_namespace mmdebstrap --mode=root --variant=apt --include="$(env_list base | paste -sd,)" \
        --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --setup-hook="$hook" "$env_codename" "$tmp" "$work/sources.list") >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2 && env_die "could not make the root; everything is in $log"; }
    env_root_check "$tmp" || env_die "the new root cannot compile a program; it is left in $tmp"
    mv "$tmp" "$root" || exit 1
    env_say "made in $((SECONDS - start)) s"
)

# What the host needs to reach its mirror, the root needs too: credentials and own authorities of apt.
env_host_files() { # TAR
    local f list=()
    for f in etc/apt/auth.conf etc/apt/auth.conf.d usr/local/share/ca-certificates; do
        [ ! -r "/$f" ] || list+=("$f")
    done
    tar -C / -cf "$1" "${list[@]}"
}

env_root_check() { # ROOT
    (env_enter "$1" sh -euc 'cd "$(mktemp -d)" && echo "int main(void) { return 0; }" >t.c
        gcc -o t t.c && ./t && clang -fsanitize=address,undefined -o t t.c && ./t
        meson --version >t.v && pkg-config --exists libngtcp2_crypto_ossl && rm -r "$PWD"')
}

# ---- entering a root --------------------------------------------------------------------------------

# Becomes CMD in a mount namespace of its own; an ordinary user gets a user namespace as well, in which he
# is root. Settings of the host's compilers and loaders do not hold inside.
env_namespace() { # CMD ...
    unset LD_PRELOAD LD_LIBRARY_PATH LIBRARY_PATH CPATH C_INCLUDE_PATH PKG_CONFIG_PATH PYTHONPATH PYTHONHOME
    if [ "$(id -u)" = 0 ]; then
        exec unshare --mount --propagation private -- "$@"
    else
        exec unshare --user --map-root-user --map-auto --mount --propagation private -- "$@"
    fi
}

# Runs inside the namespace. Everything of the host that is not its system is visible at its own path:
# the checkout, a work tree's repository, the home, whatever directory the user stands in.
# shellcheck disable=SC2016
env_enter_script='
set -eu
root=$1 cwd=$2
shift 2
for path in /*; do
    case $path in /bin | /sbin | /lib* | /usr | /etc | /var | /boot | /run) continue ;; esac
    [ -d "$path" ] && [ ! -L "$path" ] || continue
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
for path in /etc/resolv.conf /etc/hosts; do
    [ -e "$path" ] || continue
    [ -e "$root$path" ] || : >"$root$path"
    mount --bind "$(readlink -f "$path")" "$root$path"
done
visible() { [ "$1" -ef "$root$1" ] || { mkdir -p "$root$1" && mount --rbind "$1" "$root$1"; }; }
visible "$SKERRY_TOP"
visible "${SKERRY_GIT:-$SKERRY_TOP}"
case $cwd in
/ | /bin* | /sbin* | /lib* | /usr* | /etc* | /boot* | /run | /var | /var/lib | /var/cache) ;; # of the root
*) visible "$cwd" ;;
esac
exec chroot "$root" /bin/sh -c '\''cd "$1" && shift && exec "$@"'\'' sh "$cwd" "$@"
'

# Becomes CMD in the root.
env_enter() { # ROOT CMD ...
    local root=$1
    shift
    SKERRY_GIT=$(cd "$SKERRY_TOP" && git rev-parse --path-format=absolute --git-common-dir 2>/dev/null) || SKERRY_GIT=
    export SKERRY_TOP SKERRY_GIT LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    env_namespace sh -c "$env_enter_script" sh "$root" "$PWD" "$@"
}

# ---- a Debian 13 host -------------------------------------------------------------------------------

env_missing() { # LAYER ...: the packages of these lists that are not installed here
    local layer
    local want
    want=$(for layer in "$@"; do env_list "$layer"; done | sort -u)
    # shellcheck disable=SC2086 # one word a package
    comm -23 <(echo "$want") <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $want 2>/dev/null |
        sed -n 's/^installed //p' | sort -u)
}

env_host_need() { # LAYER ...
    local missing mirror backports=/etc/apt/sources.list.d/skerry-backports.list
    mapfile -t missing < <(env_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        env_say "packages are missing; run the same command as root once, or (with $env_codename-backports):"
        env_die "sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    env_preferences >/etc/apt/preferences.d/skerry
    if ! env_apt_sources | grep -q " $env_codename-backports main "; then
        mirror=$(env_mirror main)
        [ -n "$mirror" ] || env_die "no Debian archive in apt's sources; add $env_codename-backports or set SKERRY_MIRROR"
        env_say "adding $backports"
        echo "deb [signed-by=$(env_keyring)] $mirror $env_codename-backports main" >"$backports"
    fi
    env_say "installing ${#missing[@]} packages of: $*"
    env_install "${missing[@]}"
}

# Installs without starting services: where nothing forbids that yet, we do for so long.
env_install() ( # PACKAGE ...
    set -euo pipefail
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2
    apt-get -qqy -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >&2
)

# ---- the verbs --------------------------------------------------------------------------------------

env_exec() {
    local root
    case $(env_kind) in
    root)
        root=$(env_root) || exit 1
        env_enter "$root" "$@"
        ;;
    host) env_host_need base && exec "$@" ;;
    *) exec "$@" ;;
    esac
}

env_run() { (env_exec "$@"); }

env_here() {
    if [ "$(env_kind)" = root ]; then env_exec "$SKERRY_TOP/dev/$(basename "$0")" "$@"; fi
    if [ "$(env_kind)" = host ]; then env_host_need base; fi
}

# A layer's stamp is inside the root, so that it goes where the root goes.
env_need() { # LAYER ...
    local layer stamp
    [ "$(env_kind)" != host ] || { env_host_need base "$@" && return; }
    for layer in "$@"; do
        stamp=$env_inside_mark/$layer-$(env_list "$layer" | sha256sum | cut -c1-12)
        # shellcheck disable=SC2046
        env_run test -e "$stamp" || env_run flock "$env_inside_mark" bash -euc '
            . "$1/dev/lib/env.sh"
            [ -e "$2" ] || { env_say "installing the packages of dev/packages/$3.txt" && env_install $(env_list "$3") && : >"$2"; }
        ' bash "$SKERRY_TOP" "$stamp" "$layer"
    done
}
