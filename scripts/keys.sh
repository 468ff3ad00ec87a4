# Sourced by scripts/repository: the keys that sign, and those that devices are to trust.
# shellcheck shell=bash disable=SC2154

gpg() { command gpg --no-options --batch --quiet "$@"; }

# Sets `keys`, the fingerprints of those in `names`, which sign. Files are read into a keyring in
# memory, `ring`.
choose_keys() {
    local name memory list=list-secret-keys number validity bits kind ends can
    for memory in "${XDG_RUNTIME_DIR:-}" /dev/shm /tmp; do [ ! -w "$memory" ] || break; done
    if [ -f "${names[0]}" ]; then
        ring=$(mktemp -d -p "$memory") list=show-keys
        export GNUPGHOME=$ring
    fi
    for name in "${names[@]}"; do
        gpg --with-colons --$list -- "$name" >"$work/key" 2>/dev/null || true
        number=$(grep -c ^sec: "$work/key" || true)
        [ "$number" -gt 0 ] || [ ! -f "$name" ] || die "$name: holds no secret key"
        [ "$number" -gt 0 ] ||
            die "$name: is no file${ring:+ as the first one is}, and no secret key of gpg's keyring"
        [ "$number" = 1 ] || die "$name: $number secret keys; name one by its fingerprint"
        IFS=: read -r _ validity bits kind _ _ ends _ _ _ _ can _ < <(grep ^sec: "$work/key")
        [ "$validity" != r ] || die "$name: is revoked; sign with another key"
        [ "$validity" != e ] ||
            die "$name: ended $(date -d "@$ends" +%F); gpg --quick-set-expire lengthens it"
        [ "$kind" != 17 ] && [ "$bits" -ge $((kind == 1 ? 2048 : 0)) ] || # DSA, RSA
            die "$name: is too weak for Debian 13; make another key, such as ed25519"
        [[ $can = *S* ]] || die "$name: may not sign; take another key"
        [ -z "$ends" ] || [ "$ends" -ge $until_s ] ||
            say "beware: $name ends $(date -d "@$ends" +%F), sooner than the repository"
        keys+=("$(awk -F: '$1 == "fpr" { print $10; exit }' "$work/key")")
        [ -z "$ring" ] || gpg --import "$name" || die "$name: gpg cannot import it"
    done
    mapfile -t keys < <(printf '%s\n' "${keys[@]}" | sort -u)
}

fingerprints() { # FILE: of the public keys in it, if there is no secret one
    { gpg --with-colons --show-keys -- "$1" 2>/dev/null || true; } |
        awk -F: '$1 == "sec" { secret = 1 } $1 == "pub" { main = 1 }
            $1 == "fpr" && main { list = list $10 "\n"; main = 0 } END { if (!secret) printf list }'
}

# Make keys.asc of those that sign and of those in the files `trusted`, and of no others.
collect_public_keys() {
    local file key into=(gpg --homedir "$work/public")
    mkdir -m 0700 "$work/public"
    gpg --export "${keys[@]}" | "${into[@]}" --import
    for file in "${trusted[@]}"; do
        fingerprints "$file" | grep -q . && "${into[@]}" --import -- "$file" ||
            die "$file: holds no public keys alone; give what gpg --armor --export has made"
    done
    "${into[@]}" --armor --export-options export-minimal --export >"$work/keys.asc"
    for key in $(fingerprints "$work/keys.asc"); do
        [[ " ${keys[*]} " = *" $key "* ]] && say "key $key signs" ||
            say "key $key does not sign, but devices are to trust it"
    done
}

signers() { # FILE...: the keys that signed it, if each signature is right
    local told && told=$(gpg --status-fd 3 --verify "$@" 3>&1 >/dev/null 2>&1) || return 0
    awk '$2 == "VALIDSIG" { print $NF }' <<<"$told" | sort -u | xargs
}
