// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/sock_json.h"

#include "export/json_add.h"

/* tcp_info of linux/tcp.h; times there are in microseconds. */
static bool add_tcp(cJSON *to, const struct tcp_info *tcp)
{
	cJSON *object = cJSON_AddObjectToObject(to, "tcp");

	return object && json_add_u64(object, "rtt_us", tcp->tcpi_rtt) &&
	       json_add_u64(object, "rtt_var_us", tcp->tcpi_rttvar) &&
	       json_add_u64(object, "retransmits", tcp->tcpi_total_retrans) &&
	       json_add_u64(object, "cwnd", tcp->tcpi_snd_cwnd) &&
	       json_add_u64(object, "mss", tcp->tcpi_snd_mss) &&
	       json_add_u64(object, "unacked", tcp->tcpi_unacked) &&
	       json_add_u64(object, "not_sent_bytes", tcp->tcpi_notsent_bytes) &&
	       json_add_u64(object, "acked_bytes", tcp->tcpi_bytes_acked) &&
	       json_add_u64(object, "received_bytes", tcp->tcpi_bytes_received);
}

/* A ULP tells version and cipher only to those with CAP_NET_ADMIN, and only once it has keys. */
static bool add_tls(cJSON *to, const struct sock_diag_info *info)
{
	return json_add_text(to, "version",
			     info->tls_version ? conn_version_name(info->tls_version) : NULL) &&
	       json_add_text(to, "cipher",
			     info->tls_cipher ? sock_diag_tls_cipher_name(info->tls_cipher)
					      : NULL) &&
	       json_add_text(to, "rxconf", sock_diag_tls_conf_name(info->tls_rxconf)) &&
	       json_add_text(to, "txconf", sock_diag_tls_conf_name(info->tls_txconf)) &&
	       json_add_bool(to, "rx_no_pad", info->tls_rx_no_pad) &&
	       json_add_bool(to, "tx_zerocopy", info->tls_tx_zerocopy);
}

cJSON *sock_json(const struct sock_diag_info *info)
{
	cJSON *object;

	if (!info->found)
		return cJSON_CreateNull();
	object = cJSON_CreateObject();
	if (json_add_text(object, "ulp", info->has_ulp ? info->ulp : NULL) &&
	    add_tls(object, info) && add_tcp(object, &info->tcp))
		return object;
	cJSON_Delete(object);
	return NULL;
}
