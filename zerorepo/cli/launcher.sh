#!/bin/sh
# The `zerorepo` command. For `build` and `test` a bare interpreter (no site, no environment) first looks whether there is anything to do
# (zerorepo/snapshot.py); that takes half of what a full start does. Whatever it cannot answer, and whatever is unusual here, is left to
# `zerorepo-full`, which the installer wrote beside this file: the same command with a full start. Nothing is run that does not belong to
# the installation.
case $0 in */*) self=$0 ;; *) self=$(command -v -- "$0") ;; esac
[ -L "$self" ] && self=$(readlink -f -- "$self")
bin=${self%/*}
full=$bin/zerorepo-full

case " $* " in *" build "* | *" test "*) ;; *) exec "$full" "$@" ;; esac
# Set by someone who wants other code, or another start.
[ -z "${PYTHONPATH-}${PYTHONHOME-}${PYTHONIOENCODING-}${PYTHONUTF8-}" ] || exec "$full" "$@"

# Another first line than a path is that of an installer that needed more.
IFS= read -r python 2>/dev/null <"$full" || exec "$full" "$@"
case $python in '#!/'*/python*) python=${python#??} ;; *) exec "$full" "$@" ;; esac
[ -x "$python" ] || exec "$full" "$@"

code=
for lib in "$bin"/../lib/python3*/site-packages; do
  if [ -f "$lib/zerorepo/snapshot.py" ]; then
    found=$lib
  elif [ -f "$lib/_zerorepo.pth" ] && IFS= read -r found <"$lib/_zerorepo.pth" && [ -f "$found/zerorepo/snapshot.py" ]; then
    : # an editable installation
  else
    continue
  fi
  [ -z "$code" ] || exec "$full" "$@" # of two Python versions; which is meant, only the full start knows
  code=$found
done
[ -n "$code" ] || exec "$full" "$@"
exec "$python" -I -S ${PYTHONDONTWRITEBYTECODE:+-B} -c 'import sys
sys.path.insert(0, sys.argv.pop(1))
from zerorepo.snapshot import main
main(sys.argv.pop(1))' "$code" "$full" "$@"
