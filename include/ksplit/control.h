/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CONTROL_H
#define KSPLIT_CONTROL_H

/*
 * The control socket: a Unix stream socket, mode 0660. One request a line, one answer a line, both
 * JSON; several requests may follow each other on one connection.
 *
 *   request  {"version": 1, "command": "summary" | "connections" | "kernel" |
 *                                     "endpoints" | "requests" | "passes" | "certs" | "upgrade" |
 *                                     "reload"}
 *           {"version": 1, "command": "capture", "action": "on" | "off" | "status"}
 *           {"version": 1, "command": "taps", "action": the same,
 *                          "tap": "keylog" | "content" | "pcapng"; without it: all}
 *   answer   {"version": 1, "ok": true, "data": {...}}
 *            {"version": 1, "ok": false, "error": "what was wrong"}
 *
 * The version changes when a member changes its meaning or goes away; new members may come at any
 * time and a reader ignores those that it does not know.
 */
#define KSPLIT_CONTROL_VERSION 1
#define KSPLIT_CONTROL_PATH    "/run/ksplit/control.sock"
#define KSPLIT_CONTROL_LINE    4096 /* longest request, bytes */

#define KSPLIT_COMMAND_SUMMARY     "summary"
#define KSPLIT_COMMAND_CONNECTIONS "connections"
#define KSPLIT_COMMAND_KERNEL      "kernel"
#define KSPLIT_COMMAND_ENDPOINTS   "endpoints"
#define KSPLIT_COMMAND_REQUESTS    "requests"
#define KSPLIT_COMMAND_PASSES      "passes"
#define KSPLIT_COMMAND_CERTS       "certs"
#define KSPLIT_COMMAND_CAPTURE     "capture"
#define KSPLIT_COMMAND_UPGRADE     "upgrade"
#define KSPLIT_COMMAND_RELOAD      "reload"
#define KSPLIT_COMMAND_TAPS        "taps"

/* The member "action" of a request `capture` or `taps`; without it: status. */
#define KSPLIT_ACTION_ON     "on"
#define KSPLIT_ACTION_OFF    "off"
#define KSPLIT_ACTION_STATUS "status"

#endif
