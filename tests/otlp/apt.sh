# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For sourcing: packages of a suite that is not this machine's, downloaded and never installed.
# The caller has set `here` (this folder) and defines die.

readonly apt_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_open SUITE FOLDER: apt's lists, cache and state in a private folder. "#clear" keeps the hooks
# of the host's configuration (cleaning its own cache) out.
apt_open()
{
	local suite=$1 dir=$2 archive

	archive=$("$here/../vm/mirror") || exit 1
	[[ -r $apt_keyring ]] || die "$apt_keyring missing: run tools/setup test"
	mkdir -p "$dir"/{lists,cache/archives}/partial
	echo "deb [signed-by=$apt_keyring arch=amd64] $archive $suite main" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-END
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Post-Invoke;
	Dir::Etc::SourceList "$dir/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	Dir::State::Lists "$dir/lists";
	Dir::State::status "/dev/null";
	Dir::Cache "$dir/cache";
	APT::Architecture "amd64";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
	END
	apt-get -c "$dir/apt.conf" update -qq || die "cannot read the package lists of $archive"
}

# apt_download FOLDER INTO PACKAGE...
apt_download()
{
	local dir=$1 into=$2

	shift 2
	mkdir -p "$into"
	(cd "$into" && apt-get -c "$dir/apt.conf" download -qq "$@") || die "cannot download $*"
}
