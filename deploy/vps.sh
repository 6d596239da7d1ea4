#!/bin/sh
# A bare Debian becomes a front door: nginx with TLS, the Homeport gateway as a service behind it, a tunnel's end that leads home.
# Run it again at any time, with the same options: what stands as it should stays, and a configuration of yours is never touched. That machine
# holds nothing that matters: another one is made in the same way, with new keys.
#
#   deploy/vps.sh --to root@vps.example --name home.example --wheel dist/homeport-0.1.0-py3-none-any.whl      from here, over ssh
#   deploy/vps.sh --name home.example --wheel homeport-0.1.0-py3-none-any.whl                                 there, as root
#
#   --to USER@HOST      the machine, reached by ssh; the script, its files and what these options name are sent along
#   --name HOST         the name that visitors use; _ (the default) takes any
#   --wheel FILE        the Homeport to install; without it, the newest dist/homeport-*.whl beside this folder, else pip's own
#   --wheels FOLDER     take all packages from there: no package index is asked
#   --certificate FILE, --certificate-key FILE   a certificate and its key (PEM); without them one is signed here, which clients must be told to trust
#   --acme EMAIL        a certificate from Let's Encrypt, renewed by certbot; --name must already lead to this machine
#   --home URL          where home's end of the tunnel is; http://127.0.0.1:8462
#   --home-token FILE   a key of the Homeport at home
#   --insiders CIDR     who may see /status and /metrics besides the machine itself
#   --rate N, --burst N, --open N   requests a second of one address (10), how many more at once (40), answers at the same time (16)
set -eu

say() { printf '%s\n' "$*"; }
fail() { printf 'vps.sh: %s\n' "$*" >&2; exit 1; }
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

here=$(cd "$(dirname "$0")" && pwd)
to='' name=_ wheel='' wheels='' certificate='' certificate_key='' acme='' home=http://127.0.0.1:8462 home_token='' insiders='' rate=10 burst=40 open=16
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        --to | --name | --wheel | --wheels | --certificate | --certificate-key | --acme | --home | --home-token | --insiders | --rate | --burst | --open) ;;
        *) fail "there is no option $1; see: $0 --help" ;;
    esac
    [ $# -gt 1 ] || fail "$1 takes a value"
    option=$(printf '%s' "${1#--}" | tr - _)
    eval "$option=\$2"
    shift 2
done
for number in "$rate" "$burst" "$open"; do
    case $number in '' | *[!0-9]* | 0*) fail "--rate, --burst and --open take a whole number from 1, not $number" ;; esac
done
case $name in *[!A-Za-z0-9._-]* | '') fail "--name takes a host name, such as home.example" ;; esac
case $insiders in *[!0-9a-fA-F.:/]*) fail "--insiders takes an address or a network, such as 203.0.113.0/24" ;; esac
for file in "$wheel" "$certificate" "$certificate_key" "$home_token"; do
    [ -z "$file" ] || [ -r "$file" ] || fail "there is no file $file"
done
case $home in *[[:space:][:cntrl:]\"\\]*) fail "--home takes an address, such as http://127.0.0.1:8462" ;; esac
case $home in http://* | https://* | http+unix://*) ;; *) fail "--home takes an address, such as http://127.0.0.1:8462" ;; esac
[ -n "$certificate" ] && [ -z "$certificate_key" ] && fail "--certificate needs --certificate-key"
[ -n "$certificate_key" ] && [ -z "$certificate" ] && fail "--certificate-key needs --certificate"
[ -n "$acme" ] && [ "$name" = _ ] && fail "--acme needs --name"
if [ -z "$wheel" ] && [ -d "$here/../dist" ]; then
    wheel=$(find "$here/../dist" -name 'homeport-*.whl' | sort -V | tail -n 1)
fi

case $to in -*) fail "--to takes USER@HOST, such as root@vps.example" ;; esac
if [ -n "$to" ]; then # send everything there, and run there
    pack=$(mktemp -d)
    trap 'rm -rf "$pack"' EXIT
    mkdir "$pack/nginx"
    cp "$here/vps.sh" "$pack/"
    cp "$here/nginx/homeport.conf.template" "$here/nginx/off.html" "$here/nginx/late.html" "$pack/nginx/"
    words="--name $(quoted "$name") --home $(quoted "$home") --rate $rate --burst $burst --open $open"
    for option in wheel certificate certificate_key home_token; do
        eval "file=\$$option"
        [ -n "$file" ] || continue
        mkdir -p "$pack/$option"
        cp "$file" "$pack/$option/"
        words="$words --$(printf '%s' "$option" | tr _ -) \"\$d\"/$option/$(quoted "$(basename "$file")")"
    done
    if [ -n "$wheels" ]; then
        cp -r "$wheels" "$pack/wheels"
        words="$words --wheels \"\$d\"/wheels"
    fi
    [ -z "$acme" ] || words="$words --acme $(quoted "$acme")"
    [ -z "$insiders" ] || words="$words --insiders $(quoted "$insiders")"
    # what arrives is root's there: with the owner that it has here it would be that of a stranger with the same number
    unpack='d=$(mktemp -d) && tar -xzf - --no-same-owner -C "$d" && if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi'
    tar -C "$pack" -czf - . | ssh "$to" "$unpack && \$root sh \"\$d\"/vps.sh $words; code=\$?; rm -rf \"\$d\"; exit \$code"
    exit
fi

[ "$(id -u)" = 0 ] || fail "this changes the system, so it needs root: sudo $0 …"
command -v apt-get >/dev/null || fail "this is for Debian and its kin: there is no apt-get here"
began=$(date +%s)
export DEBIAN_FRONTEND=noninteractive
umask 022

# Packages. The service of nginx stays as it is until its site is there.
missing=''
for package in nginx openssl ca-certificates libgomp1 python3-venv ${acme:+certbot}; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "Installing$missing …"
    # shellcheck disable=SC2086  # words
    apt-get -qq install --no-install-recommends -y $missing >/dev/null 2>&1 ||
        { apt-get -qq update && apt-get -qq install --no-install-recommends -y $missing >/dev/null; } || fail "apt-get could not install$missing"
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Homeport needs Python 3.11: Debian 12 or newer has it"

# Homeport, in a place of its own.
what=homeport seal=homeport
if [ -n "$wheel" ]; then
    what=$wheel seal=$(sha256sum "$wheel" | cut -d' ' -f1)
fi
renewed=''
if [ "$(cat /opt/homeport/seal 2>/dev/null || true)" != "$seal" ]; then
    say "Installing Homeport into /opt/homeport …"
    [ -x /opt/homeport/bin/pip ] || python3 -m venv /opt/homeport
    /opt/homeport/bin/pip --disable-pip-version-check -q install ${wheels:+--no-index --find-links "$wheels"} --upgrade "$what"
    [ -z "$wheel" ] || /opt/homeport/bin/pip --disable-pip-version-check -q install --no-deps --no-index --force-reinstall "$wheel"
    printf '%s' "$seal" >/opt/homeport/seal
    renewed=yes
fi
ln -sf /opt/homeport/bin/homeport /usr/local/bin/homeport

# Its account and its configuration: written once, yours from then on.
getent passwd homeport >/dev/null || useradd --system --user-group --home-dir /var/lib/homeport --no-create-home --shell /usr/sbin/nologin homeport
install -d -m 0755 /etc/homeport
token='# api_key = { file = "home.token" }   # a key of the Homeport at home'
if [ -n "$home_token" ]; then
    install -m 0640 -o root -g homeport "$home_token" /etc/homeport/home.token
fi
[ ! -e /etc/homeport/home.token ] || token='api_key = { file = "home.token" }'
if [ ! -e /etc/homeport/homeport.toml ]; then
    cat >/etc/homeport/homeport.toml <<CONF
[server]
listen = "127.0.0.1:8461"
data = "/var/lib/homeport"

[backends.home]
kind = "openai"
url = "$home"
$token

[backends.pilot]
kind = "pilot"
CONF
fi

[ -z "$home_token" ] || grep -q '^api_key.*home\.token' /etc/homeport/homeport.toml ||
    say "Note: /etc/homeport/homeport.toml is yours and does not use the token: write api_key = { file = \"home.token\" } under [backends.home]."

# The certificate.
tls=/etc/homeport/tls
install -d -m 0700 "$tls"
if [ -n "$certificate" ]; then
    [ "$(openssl x509 -in "$certificate" -noout -pubkey)" = "$(openssl pkey -in "$certificate_key" -passin pass: -pubout)" ] ||
        fail "$certificate_key is not the key of $certificate, or wants a pass phrase"
    install -m 0644 "$certificate" "$tls/given.pem"
    install -m 0600 "$certificate_key" "$tls/given.key"
fi
issued=/etc/letsencrypt/live/$name
if [ -e "$tls/given.pem" ] && [ -z "$acme" ]; then
    public=$tls/given.pem private=$tls/given.key
elif [ -e "$issued/fullchain.pem" ]; then
    public=$issued/fullchain.pem private=$issued/privkey.pem
else
    public=$tls/own-$name.pem private=$tls/own-$name.key
    if [ ! -e "$public" ] || ! openssl x509 -in "$public" -noout -checkend 2592000 >/dev/null; then # 30 days
        shown=$name
        [ "$name" != _ ] || shown=$(hostname)
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=$shown" -addext "subjectAltName=DNS:$shown" \
            -keyout "$private" -out "$public" 2>/dev/null
        chmod 0600 "$private"
    fi
fi

# nginx: the site, and the two pages.
pages=/usr/local/share/homeport challenges=/var/lib/homeport-acme
install -d "$pages" "$challenges"
install -m 0644 "$here/nginx/off.html" "$here/nginx/late.html" "$pages/"
https=443 http=80
if [ -e /proc/net/if_inet6 ]; then
    https='[::]:443 ipv6only=off' http='[::]:80 ipv6only=off'
fi
site() {
    sed -e "s|\${HOMEPORT_NAME}|$name|g" -e "s|\${HOMEPORT_HTTPS}|$https|g" -e "s|\${HOMEPORT_HTTP}|$http|g" -e 's|${HOMEPORT_UPSTREAM}|127.0.0.1:8461|g' \
        -e "s|\${HOMEPORT_CERTIFICATE}|$public|g" -e "s|\${HOMEPORT_CERTIFICATE_KEY}|$private|g" -e "s|\${HOMEPORT_PAGES}|$pages|g" \
        -e "s|\${HOMEPORT_ACME}|$challenges|g" -e 's|${HOMEPORT_BODY_MB}|32|g' -e "s|\${HOMEPORT_RATE}|$rate|g" -e "s|\${HOMEPORT_BURST}|$burst|g" \
        -e "s|\${HOMEPORT_OPEN}|$open|g" -e "s|\${HOMEPORT_INSIDERS}|${insiders:+allow $insiders;}|g" "$here/nginx/homeport.conf.template"
}
front() { # put the site in place, and have nginx take it over; what nginx does not take is taken back
    available=/etc/nginx/sites-available/homeport enabled=/etc/nginx/sites-enabled before='' fresh='' take=reload-or-restart
    site >$available.new
    if cmp -s $available.new $available; then
        rm $available.new
    elif [ -e $available ] && [ "$(sha256sum <$available)" != "$(cat /opt/homeport/site 2>/dev/null || true)" ]; then
        say "Note: $available has changes of yours and stays; this script would write $available.new."
    else
        [ ! -e $available ] || { before=$available.before && cp $available $before; }
        mv $available.new $available
        sha256sum <$available >/opt/homeport/site
    fi
    [ -e $enabled/homeport ] || fresh=yes
    ln -sf ../sites-available/homeport $enabled/homeport
    if [ "$(readlink $enabled/default 2>/dev/null || true)" = /etc/nginx/sites-available/default ] && welcome; then
        rm $enabled/default
        take=restart # its port 80 takes IPv6 only, and a reload would inherit that
    fi
    if ! nginx -t -q; then
        [ -z "$before" ] || { mv $before $available && sha256sum <$available >/opt/homeport/site; }
        [ -z "$fresh" ] || rm $enabled/homeport
        [ $take != restart ] || ln -s /etc/nginx/sites-available/default $enabled/default
        fail "nginx does not take the site; the lines above say why. Another site of yours may have the same ports. nginx goes on as it was"
    fi
    rm -f $available.before
    if [ -d /run/systemd/system ]; then
        systemctl enable nginx 2>/dev/null
        systemctl $take nginx
    fi
}
welcome() { # whether that site is the page that nginx is packaged with, without a change
    dpkg-query -W -f '${Conffiles}\n' nginx-common | grep -q "/etc/nginx/sites-available/default $(md5sum </etc/nginx/sites-available/default | cut -d' ' -f1)"
}
front

# The gateway as a service; keys are made by its own account.
was=$(systemctl is-active homeport-gateway 2>/dev/null || true)
/opt/homeport/bin/homeport service install gateway --system --config /etc/homeport/homeport.toml >/dev/null
if [ ! -d /run/systemd/system ]; then
    say "Everything is written. systemd does not run here, so nothing was started: systemctl enable --now nginx homeport-gateway"
    exit 0
fi
[ "$was$renewed" != activeyes ] || systemctl restart homeport-gateway
key=''
if [ "$(runuser -u homeport -- homeport keys list --config /etc/homeport/homeport.toml --json)" = '[]' ]; then
    key=$(runuser -u homeport -- homeport keys add first --config /etc/homeport/homeport.toml --json | sed -n 's/.*"key":"\([^"]*\)".*/\1/p')
    [ -n "$key" ] || fail "no key could be made: runuser -u homeport -- homeport keys add first --config /etc/homeport/homeport.toml"
fi
if [ -n "$acme" ] && [ "$public" != "$issued/fullchain.pem" ]; then
    certbot certonly -n --agree-tos -m "$acme" --webroot -w "$challenges" -d "$name" --deploy-hook 'systemctl reload nginx' || fail "certbot got no certificate: does $name lead to this machine, and is port 80 open?"
    public=$issued/fullchain.pem private=$issued/privkey.pem
    front
fi

# Does it serve?
/opt/homeport/bin/python - "$name" <<'PROBE' || fail "the front door does not answer; see: journalctl -u homeport-gateway -u nginx -n 20"
import socket, ssl, sys, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
name = "localhost" if sys.argv[1] == "_" else sys.argv[1]
deadline = time.monotonic() + 20
while True:
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 5), server_hostname=name) as wire:
            wire.sendall(f"GET /health HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
            if wire.recv(64).startswith(b"HTTP/1.1 200 "):
                sys.exit()
    except OSError:
        pass
    if time.monotonic() > deadline:
        sys.exit(1)
    time.sleep(0.1)
PROBE
shown=$name
[ "$name" != _ ] || shown=$(hostname)
say "The front door serves https://$shown after $(($(date +%s) - began)) s."
case $public in "$tls"/own-*) say "Its certificate is signed by itself: clients must be told to trust $public, or come again with --certificate or --acme." ;; esac
if [ -n "$key" ]; then
    printf "\nIts first key, shown this once:\n  %s\n" "$key"
fi
cat <<NEXT

Next:
  at home, let the tunnel in:   homeport tunnel key --to tunnel@$shown --script | ssh root@$shown sh
  ask it:                       curl https://$shown/v1/models -H "authorization: Bearer KEY"
  another key:                  runuser -u homeport -- homeport keys add NAME --config /etc/homeport/homeport.toml
NEXT
