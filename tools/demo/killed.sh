# SPDX-License-Identifier: GPL-2.0-or-later
# Capture without downtime: a program of one cgroup is steered to ksplitd by the connect hook, and goes
# direct as soon as ksplitd is killed. Nobody else's calls are touched.
# shellcheck shell=bash

killed_possible()
{
	cgroup_root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[[ $EUID -eq 0 && -n $cgroup_root ]]
}

killed_config()
{
	jq -n --arg pki "$tmp/pki" --arg tmp "$tmp" --arg listen "127.0.0.1:$hook_port" \
		--arg cgroup "${cgroup##*/}" --argjson port "$origin_port" '{
		ca: {cert: "\($pki)/ksplit-ca.pem", key: "\($pki)/ksplit-ca.key"},
		listeners: [{listen: $listen, to: "original"}],
		upstream: {ca: "\($pki)/origin-ca.pem"},
		control: "\($tmp)/hook.sock",
		sampler: "user", sampling: {timings: false, processes: false},
		capture: {hook: {cgroups: [$cgroup], ports: [$port]}}}'
}

# A call to the origin's own address, by a process of the cgroup, which trusts one CA only.
killed_call()
{
	local authority=$1

	(
		echo "$BASHPID" >"$cgroup/cgroup.procs"
		exec curl -q --silent --show-error --noproxy '*' --max-time 60 --cacert "$authority" \
			--resolve "$name:$origin_port:127.0.0.1" -o "$tmp/answer" \
			"https://$name:$origin_port/hello.txt" 2>"$tmp/curl.err"
	) && cmp -s "$tmp/answer" "$tmp/origin/files/hello.txt"
}

killed_show()
{
	local killed_pid

	if ! killed_possible; then
		note "(the connect hook needs root and cgroup2)"
		return
	fi
	cgroup=$cgroup_root/ksplit-demo-$$
	mkdir "$cgroup"
	hook_port=$(port_free 18443)
	killed_config >"$tmp/hook.json"
	"$build/ksplitd" --foreground -c "$tmp/hook.json" >"$tmp/ksplitd.log" 2>&1 &
	killed_pid=$!
	process_add "$killed_pid"
	wait_for 60 "ksplitd" "$killed_pid" "$build/ksplit-status" --control "$tmp/hook.sock"
	wait_for 60 "a call to be steered" "$killed_pid" killed_call "$tmp/pki/ksplit-ca.pem"
	check_ok "a program of cgroup ${cgroup##*/} calls the origin and is shown ksplit's leaf"
	kill -KILL "$killed_pid"
	wait "$killed_pid" 2>/dev/null || true
	killed_call "$tmp/pki/origin-ca.pem" ||
		die "after SIGKILL: $(tail -n 1 "$tmp/curl.err")"
	check_ok "killed: the next call went direct and was shown the origin's own certificate"
	killed_cleanup
}

killed_cleanup()
{
	[[ -z ${cgroup:-} ]] || rmdir "$cgroup" 2>/dev/null || true
}
