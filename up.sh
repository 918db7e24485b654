#!/bin/sh
# Makes (or removes) the TUN device that session-tcp serves on. The defaults below are those of src/cli.rs; a test there compares them.
set -eu

device=${SESSION_TCP_DEVICE:-tun-st}
host_address=${SESSION_TCP_HOST_ADDRESS:-192.0.2.1}
prefix=${SESSION_TCP_PREFIX:-24}
address=${SESSION_TCP_ADDRESS:-192.0.2.2}
mtu=${SESSION_TCP_MTU:-1500}

usage() {
    cat <<EOF
usage: sudo ./up.sh [up]     make the TUN device $device for the calling user, with $host_address/$prefix on the host's side
       sudo ./up.sh down     remove it
       ./up.sh --help

Both may be run twice. Override the defaults like this: sudo SESSION_TCP_DEVICE=tun7 ./up.sh
  SESSION_TCP_DEVICE        name of the device            $device
  SESSION_TCP_HOST_ADDRESS  the host's address on it      $host_address
  SESSION_TCP_PREFIX        length of the network prefix  $prefix
  SESSION_TCP_ADDRESS       session-tcp's own address     $address
  SESSION_TCP_MTU           MTU in bytes                  $mtu
EOF
}

# One line on stderr and out: fail EXIT-CODE WORD...
fail() {
    code=$1
    shift
    printf 'up.sh: %s\n' "$*" >&2
    exit "$code"
}

# Runs `ip` and turns its failure into our one line; a device that we made only half is removed again.
made=no
run_ip() {
    said=$(ip "$@" 2>&1) && return
    [ "$made" = no ] || ip link delete dev "$device" 2>/dev/null || true
    fail 1 "'ip $*' failed: $(printf '%s' "$said" | tr '\n' ' ')"
}

# What the kernel says about the device, empty when there is none.
details() {
    ip -details link show dev "$device" 2>/dev/null || true
}

check_machine() {
    case $device in
    '' | . | .. | *[!A-Za-z0-9_.-]* | ????????????????*)
        fail 2 "'$device' is not a device name: 1 to 15 letters, digits, '-', '_' and '.'"
        ;;
    esac
    command -v ip >/dev/null 2>&1 || fail 1 "the command 'ip' is missing; install iproute2"
    [ "$(id -u)" -eq 0 ] || fail 1 "only root may change network devices; run: sudo ./up.sh${1:+ $1}"
}

up() {
    check_machine ""
    [ -c /dev/net/tun ] || fail 1 "/dev/net/tun is missing; load the driver with 'modprobe tun' (in a container: pass the device in)"
    { [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; } || fail 1 "no permission to open /dev/net/tun"
    owner=${SUDO_USER:-$(id -un)}
    uid=$(id -u "$owner" 2>/dev/null) || fail 1 "there is no user $owner to own $device"
    found=$(details)
    case $found in
    '')
        run_ip tuntap add dev "$device" mode tun user "$uid"
        made=yes
        ;;
    *"tun type tun"*"user $owner "* | *"tun type tun"*"user $uid "*) ;;
    *"tun type tun"*) fail 1 "$device exists but is not $owner's; remove it first: sudo ./up.sh down" ;;
    *) fail 1 "$device exists and is not a TUN device; choose another name with SESSION_TCP_DEVICE" ;;
    esac
    run_ip link set dev "$device" mtu "$mtu"
    run_ip address replace "$host_address/$prefix" dev "$device"
    run_ip link set dev "$device" up
    printf 'up.sh: %s is up, owned by %s: host %s/%s, session-tcp %s, mtu %s\n' \
        "$device" "$owner" "$host_address" "$prefix" "$address" "$mtu"
}

down() {
    check_machine down
    found=$(details)
    case $found in
    '')
        printf 'up.sh: %s is not there, nothing to remove\n' "$device"
        return
        ;;
    *"tun type tun"*) run_ip link delete dev "$device" ;;
    *) fail 1 "$device is not a TUN device; left alone" ;;
    esac
    printf 'up.sh: %s removed\n' "$device"
}

[ $# -le 1 ] || fail 2 "too many arguments; try ./up.sh --help"
case ${1-up} in
up) up ;;
down) down ;;
-h | --help) usage ;;
*) fail 2 "unknown argument '$1'; try ./up.sh --help" ;;
esac
