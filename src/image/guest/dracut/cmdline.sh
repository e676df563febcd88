#!/bin/sh
# dracut's hook `cmdline`: with boot=kickctl the root comes from the head, and nothing is to be looked for.
# shellcheck disable=SC2034 # root and rootok are dracut's
if [ "$(getarg boot=)" = kickctl ]; then
	root=kickctl
	rootok=1
fi
