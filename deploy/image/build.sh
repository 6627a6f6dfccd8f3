#!/bin/sh
# The steps of the container image, on Debian 12; deploy/Containerfile runs them, and so do the tests.
#   build.sh system             what the program needs at run time, and its user
#   build.sh tools EXTRAS       what building it needs, with a compiler only for Kerberos
#   build.sh program EXTRAS     from the sources in the current folder into /opt/ownernode
# EXTRAS are of pyproject.toml, such as "kubernetes kerberos psrp".
set -eu
step=$1
extras=${2:-}
export DEBIAN_FRONTEND=noninteractive

install() {
    apt-get update -q
    apt-get install -q --yes --no-install-recommends "$@"
    rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
}

case $step in
system)
    # git, gpg and ssh for placements from Git (docs/git.md), libgssapi for Kerberos.
    install ca-certificates git gpg libgssapi-krb5-2 openssh-client python3
    # ssh wants its user to have a name.
    echo 'ownernode:x:65532:65532::/var/lib/ownernode:/usr/sbin/nologin' >>/etc/passwd
    echo 'ownernode:x:65532:' >>/etc/group
    # Nothing is written but here and to /tmp: the root may be read-only.
    mkdir -p /var/lib/ownernode
    chown 65532:65532 /var/lib/ownernode
    chmod 0700 /var/lib/ownernode
    ;;
tools)
    case " $extras " in
    *" kerberos "*) install ca-certificates gcc libc6-dev libkrb5-dev python3-dev python3-venv ;;
    *) install ca-certificates python3-venv ;;
    esac
    ;;
program)
    . .ci/versions
    python3 -m venv /tmp/uv
    /tmp/uv/bin/pip install --quiet "uv==$UV_VERSION"
    named=
    for extra in $extras; do
        named="$named --extra $extra"
    done
    export UV_PROJECT_ENVIRONMENT=/opt/ownernode UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
    # shellcheck disable=SC2086 # several words
    /tmp/uv/bin/uv sync --quiet --locked --no-dev --no-editable --python /usr/bin/python3 $named
    ;;
*)
    echo "build.sh: no step $step" >&2
    exit 2
    ;;
esac
