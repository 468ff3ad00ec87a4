# Sourced by the other scripts: makes sure that this machine has what they need.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
PATH=$PATH:/usr/sbin:/sbin # where Debian puts mosquitto, and where users do not look

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Install Debian packages; no broker that comes with one is started or left to start at boot.
install_packages() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    command -v apt-get >/dev/null || die "this machine has no apt-get: install $* by hand"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "as root, run: apt-get install $*"
    say "installing with ${sudo[*]:-}${sudo:+ }apt-get: $*"
    [ ! -d /run/systemd/system ] || "${sudo[@]}" systemctl --quiet --runtime mask mosquitto.service
    "${sudo[@]}" apt-get -qq update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends "$@" >&2
    if [ -d /run/systemd/system ]; then
        "${sudo[@]}" systemctl --quiet --runtime unmask mosquitto.service
        [[ " $* " != *" mosquitto "* ]] || "${sudo[@]}" systemctl --quiet disable mosquitto.service
    elif [[ " $* " = *" mosquitto "* ]]; then
        "${sudo[@]}" /etc/init.d/mosquitto stop >/dev/null
        "${sudo[@]}" update-rc.d mosquitto disable
    fi
}

# Requirements of setup.cfg, one on a line: the base ones and those of the extras named.
requirements() {
    "$python" - "$@" <<'PYTHON'
import configparser
import sys

setup = configparser.ConfigParser()
setup.read("setup.cfg")
print(setup["options"]["install_requires"])
for extra in sys.argv[1:]:
    print(setup["options.extras_require"][extra])
PYTHON
}

# Install a package alone, beside those of the virtual environment.
add_library() { # DIRECTORY REQUIREMENT
    "$venv/bin/pip" install -qq --disable-pip-version-check --no-deps --target "$venv/$1" "$2" >&2
}

# Sets `venv`, a virtual environment with all requirements, made anew when those or Python change.
# It holds `paho-1.6` and `tomlkit-0.11` too: what Debian bookworm has; first in PYTHONPATH, such a
# directory hides the newer one. And `axe`: axe-core, without the browser that its package is for.
prepare() {
    local missing=() stamp
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null || die "$python is not there: apt-get install python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" -V 2>&1), but 3.11 is the oldest that works; choose with PYTHON="
    command -v mosquitto >/dev/null || missing+=(mosquitto)
    command -v strace >/dev/null || missing+=(strace)
    command -v openssl >/dev/null || missing+=(openssl)
    # What tests/tools/cloud makes mosquitto's plugin with.
    command -v gcc >/dev/null || missing+=(gcc)
    [ -e /usr/include/features.h ] || missing+=(libc6-dev)
    [ -e /usr/include/mosquitto_broker.h ] || missing+=(mosquitto-dev libmosquitto-dev)
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        [ "$(realpath "$(command -v "$python")")" = "$(realpath /usr/bin/python3)" ] ||
            die "$python cannot make virtual environments: its ensurepip is missing"
        missing+=(python3-venv)
    fi
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"

    venv=$PWD/.venv/$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    stamp=$({
        "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
        cat setup.cfg
        pwd # scripts in a virtual environment name it by its whole path
    } | sha256sum)
    # A tree may have been prepared before there was another library to hide.
    if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ] && [ -d "$venv/tomlkit-0.11" ]; then
        [ -d "$venv/axe" ] || add_library axe axe-playwright-python==0.1.8
        return
    fi
    say "making a virtual environment in $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    requirements test lint >"$venv/requirements.txt"
    "$venv/bin/pip" install -qq --disable-pip-version-check -r "$venv/requirements.txt" >&2
    add_library paho-1.6 paho-mqtt==1.6.1
    add_library tomlkit-0.11 tomlkit==0.11.7
    add_library axe axe-playwright-python==0.1.8
    echo "$stamp" >"$venv/stamp"
}

# What building and checking the package takes, booting a Debian to try it in, and looking at a page.
BUILD_TOOLS=(dpkg-dev debhelper dh-python fakeroot lintian python3-setuptools)
BOX_TOOLS=(mmdebstrap gpg systemd-container zstd piuparts faketime)
REPOSITORY_TOOLS=(apt-utils gpg gpg-agent xz-utils)
BROWSER=(chromium)

# Install those that are missing.
install_missing() { # PACKAGE...
    local package missing=()
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# What tests/system, tests/arm, and in tests/integration the report's page and the repository need;
# only root on a Debian can run the first two, and others see skipped what cannot be.
install_box_tools() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    install_missing "${BUILD_TOOLS[@]}" "${BOX_TOOLS[@]}" "${REPOSITORY_TOOLS[@]}" "${BROWSER[@]}"
}
