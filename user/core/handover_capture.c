// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/handover_capture.h"

#include <poll.h>

#include "core/capture_hook.h"
#include "core/log.h"
#include "core/server.h"

#define BY	"upgrade"
#define HOOK_MS 4500
/* What was captured until now is accepted here: the new one could not tell where it goes to. */
#define SETTLE_MS 250

static bool captures(const struct server *server)
{
	struct capture_status rules;
	struct steer_status hook;

	capturing_read(server->capturing, &rules);
	capture_hook_read_status(server, &hook);
	return rules.state == CAPTURE_ON || hook.state.state == CAPTURE_ON;
}

static void switch_all(struct server *server, bool on)
{
	capture_hook_switch(server, on, BY);
	capturing_switch(server->capturing, on, BY);
	capture_hook_await(server, HOOK_MS);
}

bool handover_capture_withdraw(struct server *server, uint32_t mark)
{
	if (mark == atomic_load(&server->own_mark) || !captures(server))
		return false;
	log_info("upgrade: the new ksplitd does not mark its calls as this one does: what captures "
		 "here goes first");
	switch_all(server, false);
	poll(NULL, 0, SETTLE_MS);
	return true;
}

void handover_capture_restore(struct server *server)
{
	switch_all(server, true);
}
