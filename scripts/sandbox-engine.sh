#!/usr/bin/env bash
# A docker engine for the sandbox tiers docker and gvisor, with its own data folder, socket and containerd, and without any network.
# For machines where none runs (CI, containers, test machines). Needs root.
# Usage: sandbox-engine.sh start|stop [FOLDER]     FOLDER: default /var/lib/zerorepo-docker
# After `start`: export DOCKER_HOST=unix://FOLDER/docker.sock  (printed). `stop` ends it and removes its mounts and the folder.
set -euo pipefail
action=${1:-} folder=${2:-/var/lib/zerorepo-docker}
socket=$folder/docker.sock pidfile=$folder/dockerd.pid

alive() { [ -s "$pidfile" ] && grep -q dockerd "/proc/$(cat "$pidfile")/comm" 2>/dev/null; }

answers() {
  python3 - "$1" <<'PY' 2>/dev/null
import socket, sys
with socket.socket(socket.AF_UNIX) as engine:
    engine.settimeout(5)
    engine.connect(sys.argv[1])
    engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    sys.exit(b" 200 " not in engine.recv(4096).split(b"\r\n")[0])
PY
}

start() {
  if alive; then
    echo "unix://$socket"
    return
  fi
  command -v dockerd >/dev/null || { echo "dockerd is not installed: apt-get install docker.io" >&2; exit 1; }
  [ "$(id -u)" -eq 0 ] || { echo "starting dockerd takes root" >&2; exit 1; }
  mkdir -p "$folder"
  chmod 700 "$folder"
  rm -f "$pidfile"
  {
    # Containers of the sandbox have no network at all, so the engine needs no bridge and touches no firewall rule.
    printf '{"data-root": "%s/data", "exec-root": "%s/exec", "pidfile": "%s", "hosts": ["unix://%s"],\n' "$folder" "$folder" "$pidfile" "$socket"
    printf ' "bridge": "none", "iptables": false, "ip-forward": false, "ip-masq": false, "log-driver": "none"'
    if runsc=$(command -v runsc); then
      printf ',\n "runtimes": {"runsc": {"path": "%s", "runtimeArgs": ["--platform=ptrace", "--network=none"]}' "$runsc"
      if runsc flags 2>&1 | grep -q systrap; then
        printf ',\n  "runsc-systrap": {"path": "%s", "runtimeArgs": ["--platform=systrap", "--network=none"]}' "$runsc"
      fi
      printf '}'
    fi
    printf '}\n'
  } >"$folder/daemon.json"
  setsid dockerd --config-file "$folder/daemon.json" >"$folder/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 150); do
    if [ -S "$socket" ] && answers "$socket"; then
      echo "unix://$socket"
      return
    fi
    sleep 0.2
    alive || [ ! -s "$pidfile" ] || break
  done
  echo "dockerd did not start; the end of $folder/dockerd.log:" >&2
  tail -n 15 "$folder/dockerd.log" >&2
  stop
  exit 1
}

stop() {
  if alive; then
    local pid
    pid=$(cat "$pidfile")
    kill "$pid"
    for _ in $(seq 150); do
      [ -d "/proc/$pid" ] || break
      sleep 0.2
    done
    [ ! -d "/proc/$pid" ] || kill -9 "$pid"
  fi
  # Deepest first; an engine that was killed leaves some.
  awk -v top="$folder/" 'index($2, top) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
    umount "$mount" 2>/dev/null || umount -l "$mount" || true
  done
  rm -rf "${folder:?}"
}

case $action in
  start) start ;;
  stop) stop ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
