#!/bin/sh
# Entry point of the image: Node, with the flags of the part that the first argument names.
# Young-generation pages are the bulk of an idle process, and helpers' threads get in the way of the one that serves. SIGUSR1
# would open a debugger that every container of the pod can reach.
flags='--max-semi-space-size=1 --single-threaded-gc --disable-warning=ExperimentalWarning --disable-sigusr1'
# These believe the mesh's trust anchors and nobody else. Without the flag Node reads its 145 public authorities on a thread of its own as soon as TLS is loaded: beside a start, which waits for the
# same processor.
case "$1" in proxy | gateway) flags="$flags --use-openssl-ca" ;; esac
# Unquoted: one word a flag. Where there is no image, the Node that is meant need not be the one on the path.
exec "${ISTHMUS_NODE:-node}" $flags "${0%/*}/entrypoint.js" "$@"
