// SPDX-License-Identifier: GPL-2.0-or-later
/* In a child: the filter stays for good. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/bpf.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECKED 1
#endif
#endif

/* Calls that fail with EPERM, from root and from anybody else; each bit of the answer is one that
 * does not. */
static int denied_calls(void)
{
	char *const argv[] = {(char *)"true", NULL};
	char byte, other = 0;
	struct iovec local = {&byte, 1}, remote = {&other, 1};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};
	int wrong = 0, bit = 0;

#define DENIED(call)                                                                               \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((call) != -1 || errno != EPERM)                                                \
			wrong |= 1 << bit;                                                         \
		bit++;                                                                             \
	} while (0)
	DENIED(execve("/bin/true", argv, argv + 1));
	DENIED(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0));
	DENIED(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	DENIED(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	DENIED(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
	DENIED(unshare(CLONE_NEWUSER));
	DENIED(mount("none", "/nowhere", "tmpfs", 0, NULL));
	DENIED(syscall(SYS_io_uring_setup, 1, NULL));
	DENIED(syscall(SYS_keyctl, 0, 0));
	DENIED(syscall(SYS_finit_module, -1, "", 0));
	DENIED(syscall(SYS_kexec_load, 0, 0, NULL, 0));
	DENIED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
#ifndef LEAK_CHECKED
	DENIED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	DENIED(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
#endif
	return wrong;
}

/* What a proxy lives on: false when something of it fails. */
static bool proxy_calls_work(void)
{
	struct addrinfo *found = NULL;
	int fds[2], pipes[2];
	char byte = 1;
	bool good;

	good = getaddrinfo("localhost", "443", NULL, &found) == 0;
	if (found)
		freeaddrinfo(found);
	good = good && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && pipe(pipes) == 0;
	good = good && write(fds[0], &byte, 1) == 1;
	good = good && splice(fds[1], NULL, pipes[1], NULL, 1, 0) == 1;
	return good && read(pipes[0], &byte, 1) == 1;
}

struct early {
	sem_t go, done;
	int wrong;
};

static void *early_thread(void *arg)
{
	struct early *early = arg;

	sem_wait(&early->go);
	early->wrong = denied_calls();
	sem_post(&early->done);
	return NULL;
}

static int in_child(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int report(const char *who, int wrong)
{
	if (wrong)
		fprintf(stderr, "%s: calls 0x%x were not denied\n", who, (unsigned int)wrong);
	return wrong ? 1 : 0;
}

static int run_denied(void)
{
	if (sandbox_enter())
		return 2;
	return report("a child", denied_calls());
}

static int run_threads(void)
{
	struct early early = {.wrong = -1};
	pthread_t before, after;

	sem_init(&early.go, 0, 0);
	sem_init(&early.done, 0, 0);
	if (pthread_create(&before, NULL, early_thread, &early) || sandbox_enter())
		return 2;
	sem_post(&early.go);
	pthread_join(before, NULL);
	if (report("a thread from before", early.wrong))
		return 1;
	sem_post(&early.go);
	if (pthread_create(&after, NULL, early_thread, &early))
		return 3;
	pthread_join(after, NULL);
	return report("a thread from after", early.wrong);
}

static int run_work(void)
{
	if (sandbox_enter())
		return 2;
	return proxy_calls_work() ? 0 : 1;
}

static int run_twice(void)
{
	return sandbox_enter() || sandbox_enter() ? 2 : report("a child", denied_calls());
}

static void what_a_proxy_never_does_is_denied(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_denied), 0);
}

static void all_threads_are_in_it(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_threads), 0);
}

static void what_a_proxy_does_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_work), 0);
}

static void twice_does_no_harm(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_twice), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_proxy_never_does_is_denied),
		cmocka_unit_test(all_threads_are_in_it),
		cmocka_unit_test(what_a_proxy_does_works),
		cmocka_unit_test(twice_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
