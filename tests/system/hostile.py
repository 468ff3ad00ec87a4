"""Shell programs: a hostile service user, and root going on with its work meanwhile."""

from __future__ import annotations

#: All that is outside the service's own directories and changes by itself on no quiet machine:
#: owner, group, mode, kind, size, time of the content, and where a link leads.
SNAPSHOT = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp \
    -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path /root -o -path /boot \
    -o -path /var/lib/pi-iot-agent -o -path /etc/pi-iot-agent/certs -o -path /var/lib/private \) \
    -prune -o -not -path '/etc/pi-iot-agent/*' -printf '%U %G %m %y %s %T@ %p %l\n' | sort -k7
sha256sum /etc/passwd /etc/group /etc/shadow
"""

#: Files at the start of a Python, a program that a sensor runs, and what each would leave behind.
PLANT = r"""
cd /var/lib/pi-iot-agent
for version in 3.11 3.13; do
    site=.local/lib/python$version/site-packages
    mkdir -p $site
    for name in usercustomize sitecustomize; do
        echo "open('/var/lib/pi-iot-agent/ran', 'a').write('$name\n')" >$site/$name.py
    done
    echo "import usercustomize" >$site/evil.pth
done
mkdir -p .aws .config
printf '[default]\ncredential_process = /var/lib/pi-iot-agent/tank\n' >.aws/credentials
cat >tank <<'END'
#!/bin/sh
{ id -u; id -G; } >>/var/lib/pi-iot-agent/as
: </dev/tty && echo tty >>/var/lib/pi-iot-agent/ran
printf '\033]0;owned\007' >&2
echo 1
END
chmod 0755 tank
"""

#: Swaps, for as long as it runs, everything that a command of root's could open, lock or remove.
SWAP = r"""
certs=/etc/pi-iot-agent/certs run=/run/pi-iot-agent state=/var/lib/pi-iot-agent thing=$1
while :; do
    for name in $certs/.lock $certs/.name $certs/.$thing.pending $certs/.$thing.new-deadbeef \
        $certs/.$thing.0123456789ab $certs/$thing $run/agent.lock $run/status.json $run/window \
        $state/store.db $state/store.db-wal $state/reserve $state/mode.json; do
        mv -T $name $name.aside 2>/dev/null
        for target in /etc/shadow /etc/pi-iot-agent/agent.toml /etc /etc/cron.d/owned; do
            ln -sfT $target $name
        done
        rm -rf $name
        # (SQLite opens its files itself, and would wait: that takes nothing of root's.)
        case $name in *store.db*) ;; *) mkfifo $name ;; esac
        rm -f $name
        mkdir $name && ln -s /etc $name/below && mkfifo $name/identity.json
        rm -rf $name
        mkdir $name && ln -s /etc/shadow $name/identity.json && ln -sfT $name $name/loop
        rm -rf $name
        mv -T $name.aside $name 2>/dev/null
    done
    printf '{"state": "\033]0;owned\007", "thing": "\033[2J", "pid": 1}' >$run/status.json
done
"""

#: Each command ten times; some fail, none hangs. Prints what went to the terminal.
ROOT = r"""
try() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        timeout -k 2 30 "$@" </dev/null 2>&1
        [ $? -lt 124 ] || echo "HANGS: $*"
    done
}
command=pi-iot-agent
{ try $command status; try $command status --json; try $command check; try $command read; } &
{ try $command queue; try $command queue --dead; try $command queue --replay; } &
{ try $command mode; try $command mode away --for 1h; try $command mode off; } &
{ try $command report; try $command report --html -; } &
{ try $command provision --dry-run; try $command doctor; try $command setup --allow; } &
{ try $command provision; try $command deprovision; } &
{
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        cp /root/prepared.toml /boot/pi-iot-agent.toml
        timeout -k 2 30 $command preseed </dev/null 2>&1
        echo "$2" | timeout -k 2 30 \
            $command setup --name "$1" --access-key-id "$3" --secret-stdin \
            --sensor door=gpio:20 2>&1
    done
} &
wait
"""
