// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf_purpose.h"

#include <stddef.h>

bool leaf_purpose_allowed(const ASN1_OBJECT *purpose)
{
	static const int refused[] = {
		NID_anyExtendedKeyUsage, NID_code_sign,
		NID_ms_code_ind,         NID_ms_code_com,
		NID_ms_ctl_sign,         NID_time_stamp,
		NID_OCSP_sign,           NID_dvcs,
		NID_email_protect,       NID_ms_efs,
		NID_ms_smartcard_login,  NID_pkInitClientAuth,
		NID_pkInitKDC,
	};
	int nid = OBJ_obj2nid(purpose);

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (refused[i] == nid)
			return false;
	return true;
}

bool leaf_purpose_is_server(const ASN1_OBJECT *purpose)
{
	int nid = OBJ_obj2nid(purpose);

	return nid == NID_server_auth || nid == NID_ms_sgc || nid == NID_ns_sgc;
}

bool leaf_policies_allowed(const CERTIFICATEPOLICIES *policies)
{
	if (sk_POLICYINFO_num(policies) > LEAF_POLICIES_MAX)
		return false;
	for (int i = 0; i < sk_POLICYINFO_num(policies); i++)
		if (sk_POLICYINFO_value(policies, i)->qualifiers)
			return false;
	return true;
}
