# SPDX-License-Identifier: GPL-2.0-or-later
# The origin: Debian's nginx with a configuration of its own, GET and PUT below one folder.
# shellcheck shell=bash

origin_config()
{
	local user=""

	# Workers stay root there, or they could not enter the temporary folder.
	[[ $EUID -ne 0 ]] || user="user root root;"
	cat <<-END
	$user
	daemon off;
	worker_processes 1;
	pid $tmp/origin/nginx.pid;
	error_log $tmp/origin/error.log warn;
	events { worker_connections 256; }
	http {
		access_log off;
		client_body_temp_path $tmp/origin/body;
		proxy_temp_path $tmp/origin/proxy;
		fastcgi_temp_path $tmp/origin/fastcgi;
		uwsgi_temp_path $tmp/origin/uwsgi;
		scgi_temp_path $tmp/origin/scgi;
		server {
			listen 127.0.0.1:$origin_port ssl http2;
			server_name $name;
			ssl_certificate $tmp/pki/origin.pem;
			ssl_certificate_key $tmp/pki/origin.key;
			ssl_protocols TLSv1.2 TLSv1.3;
			root $tmp/origin/files;
			client_max_body_size 0;
			location /up/ { dav_methods PUT; }
		}
	}
	END
}

origin_start()
{
	mkdir -p "$tmp/origin/files/up"
	origin_port=$(port_free 19443)
	origin_config >"$tmp/origin/nginx.conf"
	echo "hello from the origin" >"$tmp/origin/files/hello.txt"
	nginx -p "$tmp/origin" -c "$tmp/origin/nginx.conf" -e "$tmp/origin/error.log" \
		>"$tmp/origin/out.log" 2>&1 &
	origin_pid=$!
	process_add "$origin_pid"
	wait_for 60 "nginx" "$origin_pid" port_answers "$origin_port"
	note "$(nginx -v 2>&1 | sed 's/nginx version: //') on 127.0.0.1:$origin_port"
}
