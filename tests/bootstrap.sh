# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Sourced by the commands that a person starts on a machine with nothing but the
# base system, before there is a Python to do it.

# modinfo, depmod and dkms are not in every user's path.
PATH=$PATH:/usr/sbin:/sbin
export PATH
# What `make -n`, `make -s` or `make KERNEL=...` was told is not for the builds below.
unset MAKEFLAGS MFLAGS MAKELEVEL

# install_missing NAME PACKAGE... - installs what is missing of the packages from
# Debian's archive, after saying so on behalf of the command NAME.
install_missing() {
	who=$1
	shift
	need=""
	for package; do
		# One line for each architecture that it is installed for.
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			need="$need $package"
	done
	[ -n "$need" ] || return 0
	root=""
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			echo "$who: run it as root, or install sudo; missing packages:$need" >&2
			return 1
		}
		root=sudo
	fi
	echo "$who: installing$need"
	# shellcheck disable=SC2086 # package names, no white space in them
	if ! { $root apt-get -qq update && $root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends $need >/dev/null; }; then
		echo "$who: these packages are missing and could not be installed (is this machine" \
			"online?):$need" >&2
		return 1
	fi
}
