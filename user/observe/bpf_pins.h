/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BPF_PINS_H
#define KSPLIT_OBSERVE_BPF_PINS_H

#include <stddef.h>

/*
 * Folders of pinned objects: KSPLIT_PIN_ROOT/PID, mode 0700, one for each daemon. A killed daemon
 * cannot remove its own, the next one to start does.
 */

#define BPF_PINS_PATH_MAX 128

/*
 * Open KSPLIT_PIN_ROOT (O_PATH), made where it is missing: for a process that becomes another user,
 * since the folder above may be root's alone (systemd mounts it so). The caller's to close. 0: it
 * cannot be; then another user pins nothing.
 */
int bpf_pins_open_root(void);

/*
 * Make this process's folder; what a former process with its number has left is removed. `root` is
 * what bpf_pins_open_root gave, as long as the folder is used; 0: the way there is open. `path`,
 * for the other functions, is "" on an error: -ENODEV (no bpffs is mounted there), -EPERM ...; 0.
 */
int bpf_pins_make(int root, char path[BPF_PINS_PATH_MAX]);

/*
 * Remove the folders of daemons that are dead: their number is nobody's now, or that of a program
 * with another name than ours (/proc/PID/comm). `root` as above. Returns how many.
 */
int bpf_pins_remove_stale(int root);

/* Remove a folder with all in it, and KSPLIT_PIN_ROOT when it was the last. "" is no folder. */
void bpf_pins_remove(const char *path);

#endif
