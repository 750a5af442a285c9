#!/usr/bin/env bash
# need.sh build|test|net ...: installs what is missing for building, for the tests, for tests on a bad network.
# System packages come by apt-get (Debian 12, Ubuntu 24.04), Rust by its official installer, all else into target/tools.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

readonly node_wanted=20.19.0 node_package=node@22.23.3
readonly cargo_deny_version=0.20.2

# older VERSION WANTED
older() {
    [[ $1 != "$2" && $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]
}

packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    ((${#missing[@]} == 0)) && return
    command -v apt-get >/dev/null || { echo "install these first: ${missing[*]}" >&2; return 1; }
    echo "installing ${missing[*]}"
    as_root timeout 300 apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -y -q --no-install-recommends "${missing[@]}"
}

rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    have=$(cargo --version 2>/dev/null | cut -d ' ' -f 2 || true)
    if [[ -z $have ]] || older "$have" "$wanted"; then
        echo "installing Rust (found: ${have:-none}, needed: $wanted)"
        if command -v rustup >/dev/null; then
            timeout 900 rustup toolchain install stable --profile minimal --component rustfmt --component clippy
            timeout 60 rustup default stable
        else
            timeout 120 curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "${TMPDIR:-/tmp}/rustup-init.$$"
            timeout 900 sh "${TMPDIR:-/tmp}/rustup-init.$$" -y --no-modify-path --profile minimal --component rustfmt --component clippy
            rm -f "${TMPDIR:-/tmp}/rustup-init.$$"
        fi
    fi
}

lints() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    timeout 300 rustup component add rustfmt clippy
}

cargo_deny() {
    [[ $(cargo-deny --version 2>/dev/null) == "cargo-deny $cargo_deny_version" ]] && return
    timeout 1200 cargo install cargo-deny --locked --quiet --version "$cargo_deny_version" --root "$tools"
}

recent_node() {
    local have
    type -P node npm >/dev/null || packages nodejs npm
    have=$(node --version | tr -d v)
    older "$have" "$node_wanted" || return 0
    echo "installing $node_package (the system's is $have)"
    mkdir -p "$tools/node"
    timeout 300 npm install --loglevel=error --no-fund --no-audit --no-save --no-package-lock --prefix "$tools/node" "$node_package"
    ln -sfn node_modules/node/bin "$tools/node/bin"
}

# Installed again only when the lock has changed.
node_packages() {
    cmp -s tests/e2e/package-lock.json tests/e2e/node_modules/.installed && return
    timeout 300 npm ci --loglevel=error --no-fund --no-audit --prefix tests/e2e
    cp tests/e2e/package-lock.json tests/e2e/node_modules/.installed
}

python_packages() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages python3 python3-venv
    cmp -s tests/e2e/requirements.txt "$tools/venv/.installed" && return
    rm -rf "$tools/venv"
    timeout 60 python3 -m venv "$tools/venv"
    timeout 300 "$tools/venv/bin/pip" install --quiet -r tests/e2e/requirements.txt
    cp tests/e2e/requirements.txt "$tools/venv/.installed"
}

browser() {
    [[ -n ${CHROME:-} || -n $(type -P chromium chromium-browser google-chrome) ]] || packages chromium fonts-dejavu-core
}

for what in "$@"; do
    case $what in
        build)
            packages build-essential ca-certificates curl
            rust
            ;;
        test)
            lints
            cargo_deny
            browser
            recent_node
            node_packages
            python_packages
            ;;
        net) packages iproute2 nftables ethtool ;;
        *)
            echo "need.sh build|test|net" >&2
            exit 2
            ;;
    esac
done
